import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.distill.layer_attention import LayerAttention
from tests.distill.feature_objectives import changed, some_features

SIZES = ({"a": 4, "b": 3}, {"x": 5, "y": 6, "z": 2})


def test_by_hand() -> None:
    kd = LayerAttention({"s": 1}, {"t": 1, "u": 1}, width=2)
    with torch.no_grad():
        kd.queries[0].weight[:] = torch.tensor([[1.0], [0.0]])
        kd.keys[0].weight[:] = torch.tensor([[1.0], [0.0]])
        kd.keys[1].weight[:] = torch.tensor([[0.0], [1.0]])
        kd.teacher_values_0[:] = torch.tensor([[1.0], [0.0]])
        kd.teacher_values_1[:] = torch.tensor([[0.0], [1.0]])
        kd.student_values[0].weight[:] = torch.tensor([[1.0], [2.0]])
    features = {
        "student_features": {"s": torch.tensor([[[100.0, 300.0]]])},
        "teacher_features": {"t": torch.tensor([[[100.0, 300.0]]]), "u": torch.tensor([[[200.0, 200.0]]])},
    }
    loss, parts = kd.with_parts(**features)
    # q and the first key normalize to (1, -1), the second to (-1, 1): scores +2 and -2, over sqrt(2)
    first = 1 / (1 + math.exp(-4 / math.sqrt(2)))
    target = 2 * first - 1  # the values are (1, -1) and (-1, 1) in both frames
    squares = [
        (scale * frame - sign * target) ** 2 for frame in (100, 300) for scale, sign in ((1, 1), (2, -1))
    ]
    torch.testing.assert_close(loss.detach(), torch.tensor(sum(squares) / 4))
    entropy = -(first * math.log(first) + (1 - first) * math.log(1 - first)) / math.log(2)
    torch.testing.assert_close(parts["entropy"], torch.tensor(entropy))
    assert parts["top/t"] == 1
    assert parts["top/u"] == 0


def slowly(kd: LayerAttention, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> Tensor:
    """One clip, (C, K) each."""
    width = kd.queries[0].out_features
    distances = []
    for i, of_student in enumerate(ours.values()):
        query = F.layer_norm(kd.queries[i](of_student.mean(dim=1)), [width])
        scores, values = [], []
        for j, of_teacher in enumerate(theirs.values()):
            key = F.layer_norm(kd.keys[j](of_teacher.mean(dim=1)), [width])
            scores.append(query @ key / math.sqrt(width))
            frames = [
                F.layer_norm(kd.get_buffer(f"teacher_values_{j}") @ frame, [width]) for frame in of_teacher.T
            ]
            value = torch.stack(frames, dim=1)[None]
            values.append(F.interpolate(value, of_student.shape[1], mode="linear", align_corners=False)[0])
        weights = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
        target = sum(w * v for w, v in zip(weights, values, strict=True))
        projected = torch.stack([kd.student_values[i](frame) for frame in of_student.T], dim=1)
        distances.append((projected - target).square().mean())
    return torch.stack(distances).mean()


def test_agrees_with_the_slow_version() -> None:
    kd = LayerAttention(*SIZES, width=8, seed=3)
    features = some_features(kd)
    clips = [slowly(kd, *({k: v[i] for k, v in of.items()} for of in features.values())) for i in range(3)]
    torch.testing.assert_close(kd(**features), torch.stack(clips).mean())


def test_long_activations_are_averaged() -> None:
    all_frames, bounded = (LayerAttention({"a": 4}, {"x": 5}, width=8, frames=frames) for frames in (None, 3))
    features = {
        "student_features": {"a": torch.rand(2, 4, 6)},
        "teacher_features": {"x": torch.rand(2, 5, 9)},
    }
    averaged = {
        side: {name: values.reshape(*values.shape[:2], 3, -1).mean(dim=-1) for name, values in of.items()}
        for side, of in features.items()
    }
    torch.testing.assert_close(bounded(**features), all_frames(**averaged))


def test_one_teacher_layer_has_all_the_weight() -> None:
    kd = LayerAttention({"a": 4, "b": 3}, {"x": 5}, width=8)
    features = some_features(kd)
    loss, parts = kd.with_parts(**features)
    loss.backward()
    assert parts["entropy"] == 0
    assert parts["top/x"] == 1
    assert all((linear.weight.grad == 0).all() for linear in [*kd.queries, *kd.keys])


def test_weights_sum_to_1_and_the_teachers_level_does_not_matter() -> None:
    kd = LayerAttention(*SIZES, width=8)
    features = some_features(kd)
    frames = [list(side.values()) for side in features.values()]
    torch.testing.assert_close(kd._weights(*frames).sum(dim=-1), torch.ones(3, 2))
    louder = changed(features, "teacher", lambda values: 50 * values)
    torch.testing.assert_close(kd(**louder), kd(**features), rtol=1e-3, atol=0)
    shares = [part for name, part in kd.with_parts(**features)[1].items() if name.startswith("top/")]
    assert len(shares) == 3
    torch.testing.assert_close(sum(shares), torch.tensor(1.0))


def test_maps_learn_and_the_teachers_values_stay() -> None:
    kd = LayerAttention(*SIZES, width=8)
    features = some_features(kd)
    fixed = {name: buffer.clone() for name, buffer in kd.named_buffers()}
    before = copy.deepcopy(kd)
    optimiser = torch.optim.Adam(kd.parameters(), 0.01)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = kd(**features)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert losses[-1] > 0.02  # nothing to collapse to
    assert len(fixed) == 3
    assert all(torch.equal(fixed[name], buffer) for name, buffer in kd.named_buffers())
    moved = [not torch.equal(*pair) for pair in zip(kd.parameters(), before.parameters(), strict=True)]
    assert len(moved) == 2 * (2 + 3 + 2)
    assert all(moved)


def test_built_from_examples_by_seed_without_touching_the_global_generator() -> None:
    example = ({"e": torch.rand(1, 4, 3, 50)}, {"f": torch.rand(1, 7, 20), "g": torch.rand(1, 2, 9)})
    state = torch.get_rng_state()
    kd, same, other = (LayerAttention.for_features(*example, width=6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert kd.student_taps == ("e",)
    assert kd.teacher_taps == ("f", "g")
    assert kd.queries[0].in_features == 12
    assert all(
        torch.equal(a, b) for a, b in zip(kd.state_dict().values(), same.state_dict().values(), strict=True)
    )
    assert not torch.equal(kd.queries[0].weight, other.queries[0].weight)
    assert isinstance(kd, nn.Module)
    turned = LayerAttention.for_features(*example, width=6, student_time_dim=2, seed=1)
    assert turned.queries[0].in_features == 200


def test_fixed_maps_keep_lengths_where_the_width_allows() -> None:
    narrow, wide = LayerAttention({"a": 2}, {"x": 3, "y": 20}, width=8).buffers()
    torch.testing.assert_close(narrow.T @ narrow, torch.eye(3))
    torch.testing.assert_close(wide @ wide.T, torch.eye(8))


def test_saved_and_loaded() -> None:
    kd, new = (LayerAttention(*SIZES, width=8, seed=seed) for seed in (0, 1))
    features = some_features(kd)
    new.load_state_dict(kd.state_dict())
    assert torch.equal(kd(**features), new(**features))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UserError, match="width"):
        LayerAttention(*SIZES, width=1)
    with pytest.raises(UserError, match="frames"):
        LayerAttention(*SIZES, frames=1)
    with pytest.raises(UserError, match="at least one tapped module of the teacher"):
        LayerAttention({"a": 3}, {})
    with pytest.raises(UserError, match=r"'a' of the student: dimension 1 of \(1, 2, 3\) cannot be time"):
        LayerAttention.for_features(
            {"a": torch.rand(1, 2, 3)}, {"x": torch.rand(1, 2, 3)}, student_time_dim=1
        )
