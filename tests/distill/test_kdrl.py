"""KDRL's formulas against hand calculations and a slow version, and its policy network."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill.common.errors import UserError
from sedistill.distill.kdrl import (
    DIRECTIONS,
    METHODS,
    PolicyNetwork,
    bounded_target,
    loss_weights,
    policy_loss,
    reward,
)

distances = st.floats(-40, 40)
EXAMPLE = {"reward": torch.tensor([-0.002]), "distance": torch.tensor([0.025]), "epochs": 50, "floor": 1e-8}
HALF = torch.tensor([0.5])


@pytest.mark.parametrize(
    ("method", "hard", "soft"), [("A", 0.7, 0.3), ("B", 0.3, 1.0), ("C", 1.0, 0.3)]
)  # fmt: skip
def test_weights_of_the_targets(method: str, hard: float, soft: float) -> None:
    ratio = torch.tensor([0.3], requires_grad=True)
    weights = loss_weights(method, ratio)
    assert [float(weight) for weight in weights] == pytest.approx([hard, soft])
    assert not any(weight.requires_grad for weight in weights)


@given(st.floats(0, 1), st.sampled_from(METHODS))
def test_weights_stay_between_0_and_1(ratio: float, method: str) -> None:
    for weight in loss_weights(method, torch.tensor([ratio])):
        assert 0 <= float(weight) <= 1


def test_rewards_by_hand() -> None:
    student, soft, hard = torch.tensor(
        [[0.020, 0.020, 0.018, 0.02, 0.02, 0.02], [0.018, 0.021, 0.019, 0.01, 0.01, 0.02],
         [0.021, 0.017, 0.020, 0.01, 0.02, 0.01]]
    )  # fmt: skip
    expected = [-0.002, 0.003, 0.0, 0.0, -0.01, 0.01]
    torch.testing.assert_close(reward(student, soft, hard), torch.tensor(expected))


def slow_reward(student: float, soft: float, hard: float) -> float:
    """Equation 8, read aloud."""
    if soft < hard and soft < student:
        return soft - student
    if hard < soft and hard < student:
        return student - hard
    return 0.0


@given(st.lists(st.tuples(distances, distances, distances), min_size=1, max_size=8))
def test_rewards_are_equation_8(clips: list[tuple[float, float, float]]) -> None:
    columns = torch.tensor(clips, dtype=torch.float64).T
    assert reward(*columns).tolist() == [slow_reward(*clip) for clip in clips]


@given(distances, distances)
def test_a_shared_first_place_earns_nothing(best: float, other: float) -> None:
    low, high = torch.tensor([min(best, other)]), torch.tensor([max(best, other)])
    for student, soft, hard in ((low, low, high), (low, high, low), (high, low, low), (low, low, low)):
        assert float(reward(student, soft, hard)) == 0


@pytest.mark.parametrize(("method", "target"), [("A", 0.5016), ("B", 0.4984), ("C", 0.5016)])
def test_target_by_hand_with_mse(method: str, target: float) -> None:
    found = bounded_target(HALF, method=method, **EXAMPLE)
    assert float(found) == pytest.approx(target, abs=1e-9)
    assert float(policy_loss(HALF, found)) == pytest.approx(2.56e-6, rel=1e-5)


def test_target_by_hand_with_minus_si_snr() -> None:
    gained = reward(torch.tensor([-10.5]), torch.tensor([-11.0]), torch.tensor([-10.0]))
    found = bounded_target(HALF, gained, torch.tensor([-10.4]), method="C", epochs=50, floor=1.0)
    assert float(gained) == -0.5
    assert float(found) - 0.5 == pytest.approx(0.00096154, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("distance", "sign"), [(0.025, -1), (-10.4, 1)])
def test_the_printed_direction_follows_the_signs(method: str, distance: float, sign: int) -> None:
    size = {**EXAMPLE, "distance": torch.tensor([distance])}
    found = bounded_target(HALF, method=method, direction="printed", **size)
    assert float(found) - 0.5 == pytest.approx(sign * 0.002 / abs(distance) / 50, rel=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_small_distances_count_as_the_floor(direction: str) -> None:
    gained = torch.tensor([0.5, 0.5, 0.5])
    small = torch.tensor([0.0, 0.3, 1.0])
    found = bounded_target(
        HALF.expand(3), gained, small, method="C", epochs=10, floor=1.0, direction=direction
    )
    assert found.tolist() == [found[2]] * 3


@given(
    st.floats(0, 1), st.floats(-1e3, 1e3), st.floats(-50, 50), st.integers(1, 300),
    st.sampled_from(METHODS), st.sampled_from(DIRECTIONS),
)  # fmt: skip
def test_targets_stay_between_0_and_1(
    ratio: float, gained: float, distance: float, epochs: int, method: str, direction: str
) -> None:
    found = bounded_target(
        torch.tensor([ratio]), torch.tensor([gained]), torch.tensor([distance]),
        method=method, epochs=epochs, floor=1e-8, direction=direction,
    )  # fmt: skip
    assert 0 <= float(found) <= 1


@given(st.floats(0.05, 0.95), st.floats(-0.5, 0.5), st.floats(0.5, 40), st.sampled_from(METHODS))
def test_the_ratio_is_drawn_to_the_extreme_that_won(
    ratio: float, gained: float, distance: float, method: str
) -> None:
    """The gradient's sign is minus that of (the method's direction times the reward)."""
    alpha = torch.tensor([ratio], requires_grad=True)
    target = bounded_target(
        alpha, torch.tensor([gained]), torch.tensor([distance]), method=method, epochs=100, floor=1e-8
    )
    assert not target.requires_grad
    policy_loss(alpha, target).backward()
    assert alpha.grad is not None
    towards = math.copysign(1, gained) * (1 if method == "B" else -1)
    if abs(gained) > 1e-30:
        assert float(alpha.grad) * towards < 0
    assert float(alpha.grad) == pytest.approx(-2 * float(target - alpha.detach().double()), rel=1e-5)


@given(st.floats(0, 1), st.floats(-40, 40))
def test_no_reward_no_gradient(ratio: float, distance: float) -> None:
    alpha = torch.tensor([ratio, ratio], requires_grad=True)
    target = bounded_target(
        alpha, torch.zeros(2), torch.full((2,), distance), method="C", epochs=50, floor=1e-8
    )
    policy_loss(alpha, target).backward()
    assert torch.equal(alpha.grad, torch.zeros(2))


def test_rewards_too_small_for_float32_ratios_still_teach() -> None:
    alpha = torch.tensor([0.5], requires_grad=True)
    target = bounded_target(
        alpha, torch.tensor([1e-9]), torch.tensor([0.01]), method="B", epochs=100, floor=1e-8
    )
    policy_loss(alpha, target).backward()
    assert float(alpha.grad) == pytest.approx(-2e-9, rel=1e-4)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="method"):
        loss_weights("D", HALF)
    with pytest.raises(UserError, match="direction"):
        bounded_target(HALF, method="A", direction="print", **EXAMPLE)


# The policy network.


@pytest.fixture(scope="module")
def policy() -> PolicyNetwork:
    torch.manual_seed(3)
    return PolicyNetwork()


def waveforms(batch: int, length: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)
    return [0.1 * torch.randn(batch, length, generator=generator) for _ in range(3)]


def test_the_papers_table_has_so_many_parameters(policy: PolicyNetwork) -> None:
    assert sum(p.numel() for p in policy.parameters()) == 4_229_549


def test_lengths_are_the_tables(policy: PolicyNetwork) -> None:
    state = torch.zeros(1, 2, 16_009)
    first = policy.features[:4](state)
    second = policy.features[4:](first)
    assert policy.features[0](state).shape == (1, 32, 16_004)
    assert first.shape == (1, 32, 4_001)
    assert policy.features[4](first).shape == (1, 4, 3_996)
    assert second.shape == (1, 4, 999)
    assert torch.equal(policy.pool(second), second)


def test_the_policy_against_a_slow_version() -> None:
    """With the dot products of the definition, in eval mode, where a clip stands for itself."""
    torch.manual_seed(4)
    network = PolicyNetwork(input_length=60).eval()
    for norm in (network.features[1], network.features[5]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(norm.weight)
    clean, teacher, student = waveforms(2, 60)
    x = torch.stack([clean - student, teacher - student], dim=1)
    for conv, norm in (
        (network.features[0], network.features[1]),
        (network.features[4], network.features[5]),
    ):
        taps = x.unfold(-1, 6, 1)  # (B, C, T - 5, 6)
        x = torch.einsum("bctk,ock->bot", taps, conv.weight) + conv.bias[:, None]
        x = (x - norm.running_mean[:, None]) / (norm.running_var[:, None] + 1e-5).sqrt()
        x = x * norm.weight[:, None] + norm.bias[:, None]
        x = x[..., : x.shape[-1] // 4 * 4].unflatten(-1, (-1, 4)).amax(-1).clamp(min=0)
    x = x.flatten(1)
    layers = [layer for layer in network.decision if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in layers] == [1024, 128, 32, 1]
    for layer in layers[:-1]:
        x = (x @ layer.weight.T + layer.bias).clamp(min=0)
    expected = 1 / (1 + (-(x @ layers[-1].weight.T + layers[-1].bias)).exp())
    torch.testing.assert_close(network(clean, teacher, student), expected[:, 0])


@pytest.mark.parametrize("length", [1, 5, 40, 41, 700, 16_000, 40_000])
@pytest.mark.parametrize("batch", [1, 3])
def test_clips_of_any_length_get_a_ratio(policy: PolicyNetwork, length: int, batch: int) -> None:
    ratios = policy(*waveforms(batch, length))
    assert ratios.shape == (batch,)
    assert ((ratios > 0.4) & (ratios < 0.6)).all()  # a fresh network has no opinion yet


def test_other_lengths_are_averaged_to_the_one_it_is_made_for() -> None:
    torch.manual_seed(5)
    network = PolicyNetwork(input_length=41 + 16).eval()
    assert network.decision[1].in_features == 4 * 2
    clips = waveforms(1, 41 + 3 * 16)
    state = torch.stack([clips[0] - clips[2], clips[1] - clips[2]], dim=1)
    features = network.features(state)
    halves = torch.stack([features[..., :2].mean(-1), features[..., 2:].mean(-1)], dim=-1)
    torch.testing.assert_close(network(*clips), network.decision(halves))


def test_the_policy_gives_no_gradient_to_waveforms_but_to_all_of_itself(policy: PolicyNetwork) -> None:
    clips = [clip.requires_grad_() for clip in waveforms(2, 700)]
    policy(*clips).square().sum().backward()
    assert all(clip.grad is None for clip in clips)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in policy.parameters())


def test_the_policy_stays_in_float32_and_is_finite_on_silence(policy: PolicyNetwork) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        ratios = policy(*(torch.zeros(2, 700).bfloat16() for _ in range(3)))
    assert ratios.dtype == torch.float32
    ratios.sum().backward()
    assert all(p.grad.isfinite().all() for p in policy.parameters())


def test_waveforms_of_different_shapes_are_refused(policy: PolicyNetwork) -> None:
    with pytest.raises(ValueError, match="batch, samples"):
        policy(torch.zeros(2, 50), torch.zeros(2, 50), torch.zeros(2, 51))
    with pytest.raises(UserError, match="from 41 to 1000000"):
        PolicyNetwork(input_length=40)
