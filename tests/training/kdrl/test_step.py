"""One step of KDRL: what moves, by what, and that it is the slow method with three networks."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sedistill.audio.si_snr import negative_si_snr
from sedistill.models.presets import build_model
from sedistill.training.kdrl.step import KDRLStep
from tests.training.kdrl.example import (
    CLIP_NORM,
    SAMPLES,
    STUDENTS,
    NormedStudent,
    SlowKDRL,
    make_batch,
    make_step,
    make_student,
)

EVERY_STUDENT = pytest.mark.parametrize("name", STUDENTS)


def weights(network: nn.Module) -> list[Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def vector(network: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().double()


def distance_between(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm())


def force_ratio(step: KDRLStep, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy says `value` for every clip."""
    assert step.policy is not None
    ratios = step.policy.ratios
    monkeypatch.setattr(step.policy, "ratios", lambda *clips: 0 * ratios(*clips) + value)


@EVERY_STUDENT
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("ratio", "position"), [(1.0, 0), (0.0, 1)])
def test_method_a_at_its_extremes_is_a_reference_bit_for_bit(
    name: str, split: bool, fused: bool, ratio: float, position: int,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With ratio 1 the student becomes the soft reference, with 0 the hard one, whatever went before."""
    if split and name == "batch-norm":
        pytest.skip("its clips meet, so it is never split")
    step = make_step(make_student(name), tmp_path, split, method="A", fused=fused)
    for number in range(3):
        step(make_batch(number), False)
    force_ratio(step, ratio, monkeypatch)
    references: list[list[Tensor]] = []
    took_step = step.references[0].step

    def watched(gradient: list[Tensor], clip_norm: float) -> None:
        took_step(gradient, clip_norm)
        references.append([copy.clone() for copy in step.references[0].copies.values()])

    monkeypatch.setattr(step.references[0], "step", watched)
    log = step(make_batch(3), False)
    assert same(references[position], step.parameters)
    assert not same(references[1 - position], step.parameters)
    assert float(log["policy/soft_wins" if ratio else "policy/hard_wins"]) == 0  # at best a tie


@EVERY_STUDENT
@pytest.mark.parametrize(
    "settings",
    [
        {"method": "A"}, {"method": "B", "delta_by": "after"}, {"method": "C"},
        {"reference_optimiser": "own"}, {"reference_optimiser": "fresh", "direction": "printed"},
    ],
    ids=str,
)  # fmt: skip
def test_the_step_is_that_of_three_networks_side_by_side(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    step = make_step(make_student(name).double(), tmp_path, name != "batch-norm", **settings)
    slow = SlowKDRL(step)
    starts = [vector(slow.students[0]), vector(slow.policy)]
    for number in range(4):
        step(make_batch(number, dtype=torch.float64), False)
        slow(make_batch(number, dtype=torch.float64))
    assert step.policy is not None
    pairs = ((step.student, slow.students[0]), (step.policy.network, slow.policy))
    for (ours, theirs), start in zip(pairs, starts, strict=True):
        error, way = (distance_between(vector(ours), other) for other in (vector(theirs), start))
        assert error <= 0.01 * way  # where the student itself always wins, the policy stays


@pytest.mark.parametrize("settings", [{"method": "C"}, {"method": "fixed"}], ids=str)
def test_without_a_limit_on_gradients_it_steps_as_with_a_wide_one(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    steps = [make_step(make_student("batch-norm"), tmp_path, **settings) for _ in range(2)]
    steps[0].clip_norm, steps[1].clip_norm = None, 1e9
    logs = [one(make_batch(), False) for one in steps]
    assert same(*(one.parameters for one in steps))
    assert logs[0] == {key: value for key, value in logs[1].items() if key != "gradient/clipped_share"}


@EVERY_STUDENT
def test_nobody_moves_but_who_is_meant_to(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = NormedStudent().eval()
    step = make_step(make_student(name), tmp_path, teacher=teacher)
    assert step.policy is not None
    batch = {key: value for key, value in make_batch().items() if key != "teacher"}
    states: dict[str, list[list[Tensor]]] = {}
    learn, policy = step.policy.learn, step.policy.network

    def everything() -> list[list[Tensor]]:
        return [weights(step.student), [p.clone() for p in policy.parameters()], weights(teacher)]

    def watched(*arguments: Any) -> Tensor:
        states["before"] = everything()
        loss = learn(*arguments)
        states["after"] = everything()
        return loss

    monkeypatch.setattr(step.policy, "learn", watched)
    start = everything()
    step(batch, True)
    moved = [not same(a, b) for a, b in zip(start, states["before"], strict=True)]
    assert moved == [True, False, False]  # by the student's step: the student
    moved = [not same(a, b) for a, b in zip(states["before"], states["after"], strict=True)]
    assert moved == [False, True, False]  # by the policy's step: the policy


def test_running_statistics_move_once_a_step_and_by_the_students_pass(tmp_path: Path) -> None:
    step = make_step(make_student("batch-norm"), tmp_path)
    for number in range(3):
        before = copy.deepcopy(step.student)
        step(make_batch(number), True)
        before(make_batch(number)["noisy"])
        assert int(step.student.layers[1].num_batches_tracked) == number + 1
        assert torch.equal(step.student.layers[1].running_mean, before.layers[1].running_mean)
        assert torch.equal(step.student.layers[1].running_var, before.layers[1].running_var)


def test_the_three_are_compared_in_eval_mode_and_every_module_returns_to_its_own(tmp_path: Path) -> None:
    student = make_student("batch-norm")
    student.layers[1].eval()  # as one who freezes a norm would have it
    modes: list[tuple[bool, bool]] = []
    student.register_forward_hook(lambda *_: modes.append((student.training, torch.is_grad_enabled())))
    make_step(student, tmp_path)(make_batch(), False)
    assert modes == [(True, True), (False, False), (False, False), (False, False)]
    assert student.training
    assert not student.layers[1].training


@pytest.mark.parametrize("name", ["conv-tas-net", "wave-u-net"])
def test_clip_by_clip_is_the_whole_batch(name: str, tmp_path: Path) -> None:
    steps = [make_step(make_student(name), tmp_path, split) for split in (True, False)]
    logs = [[step(make_batch(n), True) for n in range(3)][-1] for step in steps]
    for key in logs[0].keys() - {"policy/loss", "policy/reward"}:
        torch.testing.assert_close(logs[0][key], logs[1][key], rtol=1e-3, atol=1e-5)
    for a, b in zip(steps[0].parameters, steps[1].parameters, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_only_large_students_whose_clips_do_not_meet_are_split(tmp_path: Path) -> None:
    assert make_step(build_model("wave-u-net-12"), tmp_path).splits_clips
    assert not make_step(build_model("convtasnet-tiny"), tmp_path).splits_clips
    wide = NormedStudent()
    wide.layers.append(nn.Conv1d(1, 1, 1_000_001))
    assert not make_step(wide, tmp_path).splits_clips


@pytest.mark.parametrize("settings", [{"method": "C"}, {"method": "fixed"}])
@EVERY_STUDENT
def test_measuring_the_balance_changes_nothing(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    steps = [make_step(make_student(name), tmp_path, **settings) for _ in range(2)]
    logs = [step(make_batch(), measure) for step, measure in zip(steps, (True, False), strict=True)]
    assert logs[0].keys() - logs[1].keys() == {"gradient/kd_over_se", "gradient/cosine"}
    assert same(weights(steps[0].student), weights(steps[1].student))


@EVERY_STUDENT
def test_a_fixed_ratio_is_the_weighted_loss(name: str, tmp_path: Path) -> None:
    step = make_step(make_student(name), tmp_path, method="fixed", ratio=0.3, distance="si_snr")
    plain = copy.deepcopy(step.student)
    optimiser = torch.optim.Adam(plain.parameters(), lr=1e-2, fused=True)
    batch = make_batch()
    log = step(batch, False)
    estimate = plain(batch["noisy"])
    hard, soft = (negative_si_snr(estimate, batch[key]) for key in ("clean", "teacher"))
    (0.7 * hard + 0.3 * soft).mean().backward()
    norm = nn.utils.clip_grad_norm_(plain.parameters(), CLIP_NORM)
    optimiser.step()
    assert step.policy is None
    torch.testing.assert_close(log["gradient/norm"], norm)
    for a, b in zip(weights(step.student), weights(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_ratio_moves_to_whoever_wins(tmp_path: Path) -> None:
    """Against clips on which one target is always better, the policy ends up on its side."""
    clips = [0.1 * torch.randn(4, SAMPLES) for _ in range(3)]
    for method, gained, side in (("C", -1.0, 1), ("C", 1.0, -1), ("B", -1.0, -1), ("B", 1.0, 1)):
        policy = make_step(make_student("wave-u-net"), tmp_path, method=method).policy
        assert policy is not None
        for _ in range(10):
            ratios = policy.ratios(*clips)
            policy.learn(ratios, torch.full((4,), gained), torch.ones(4), steps_done=0)
        assert float(side * (ratios.detach().mean() - 0.5)) > 0.05


def test_the_policys_learning_rate_falls_geometrically(tmp_path: Path) -> None:
    step = make_step(make_student("wave-u-net"), tmp_path, steps=3)
    assert step.policy is not None
    assert [step.policy.learning_rate(n) for n in range(4)] == pytest.approx([1e-3, 10**-3.5, 1e-4, 1e-4])
    rates = []
    for number in range(3):
        step(make_batch(number), False)
        rates.append(step.policy.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 10**-3.5, 1e-4])


def test_building_the_policy_draws_nothing_from_the_students_generator(tmp_path: Path) -> None:
    student = make_student("wave-u-net")
    state = torch.get_rng_state()
    policies = [make_step(student, tmp_path, seed=seed).policy.network for seed in (0, 0, 1)]  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), state)
    assert same(weights(policies[0]), weights(policies[1]))
    assert not same(weights(policies[0]), weights(policies[2]))


@EVERY_STUDENT
def test_silence_does_no_harm(name: str, tmp_path: Path) -> None:
    step = make_step(make_student(name), tmp_path)
    silence = {key: torch.zeros_like(v) if key != "index" else v for key, v in make_batch().items()}
    log = step(silence, True)
    assert all(value.isfinite() for value in log.values())
    assert all(p.isfinite().all() for p in step.parameters)


def test_the_own_loss_of_noise_alone_is_0_as_it_is_without_kdrl(tmp_path: Path) -> None:
    step = make_step(make_student("conv-tas-net"), tmp_path)
    assert step.student.se_loss == "si_snr"
    alone = {**make_batch(), "clean": torch.zeros_like(make_batch()["clean"])}
    assert float(step.terms(alone)["se"]) == 0
    assert float(step(alone, True)["se"]) == 0


@EVERY_STUDENT
def test_bf16_keeps_distances_in_float32(name: str, tmp_path: Path) -> None:
    log = make_step(make_student(name), tmp_path, autocast=True)(make_batch(), True)
    assert all(value.isfinite() for value in log.values())
    assert log["se"].dtype == torch.float32
    exact = make_step(make_student(name), tmp_path)(make_batch(), True)
    assert float(log["se"]) == pytest.approx(float(exact["se"]), rel=0.05)
    assert not torch.equal(log["se"], exact["se"])


def test_a_frozen_parameter_stays(tmp_path: Path) -> None:
    student = make_student("wave-u-net")
    student.output.bias.requires_grad_(False)
    bias = student.output.bias.clone()
    step = make_step(student, tmp_path)
    for number in range(2):
        step(make_batch(number), False)
    assert torch.equal(student.output.bias, bias)
    assert len(step.parameters) == len(list(student.parameters())) - 1
