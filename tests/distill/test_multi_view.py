import pytest
import torch
from torch import nn

from sedistill.common.errors import UserError
from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.multi_view import VIEWS, MultiViewAttentionTransfer
from sedistill.distill.taps import Taps
from sedistill.models.presets import build_model


def manner(depth: int, attention: str, channels: int = 3) -> nn.Module:
    return build_model(
        {"class": "MANNER", "channels": channels, "depth": depth, "attention": attention, "chunk": 4}
    )


SMALL_2, SMALL_3, BASE_3 = (
    manner(2, "deepest"),
    manner(3, "deepest", channels=4),
    manner(3, "all", channels=4),
)


def both(*pairs: tuple[int, int]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{part}.{s}", f"{part}.{t}") for part in ("encoder", "decoder") for s, t in pairs)


@pytest.mark.parametrize(
    ("student", "teacher", "settings", "pairs", "single"),
    [
        (SMALL_2, BASE_3, {}, both((2, 2), (2, 3)), ()),
        (SMALL_2, BASE_3, {"dual_depth": False}, both((2, 2)), ()),
        (SMALL_2, SMALL_3, {}, both((2, 3)), ()),
        (SMALL_2, SMALL_3, {"fallback": "single_view"}, both((2, 3)), both((1, 1), (2, 2))),
        (SMALL_3, BASE_3, {}, both((3, 3)), ()),
        (BASE_3, BASE_3, {}, both((1, 1), (2, 2), (3, 3)), ()),
        (manner(1, "all"), BASE_3, {}, both((1, 1), (1, 2)), ()),
    ],
    ids=["dual", "not-dual", "small-small", "fallback", "same-depth", "base-base", "two-deeper"],
)
def test_pairs_by_depth(
    student: nn.Module, teacher: nn.Module, settings: dict, pairs: tuple, single: tuple
) -> None:
    kd = MultiViewAttentionTransfer.between(student, teacher, **settings)
    assert kd.pairs == pairs
    assert kd.single_view_pairs == single
    assert sum(len(of_view) for of_view in kd.pairs_by_view.values()) == 3 * len(pairs) + len(single)
    for network, names in ((student, kd.student_taps), (teacher, kd.teacher_taps)):
        assert len(set(names)) == len(names)
        Taps(network, names).close()  # they all exist


def features(network: nn.Module, names: tuple[str, ...], noisy: torch.Tensor) -> dict[str, torch.Tensor]:
    with Taps(network, names) as taps:
        network(noisy)
        return taps.take()


@pytest.mark.parametrize(
    "settings", [{}, {"tap": "after"}, {"views": ("global",), "fallback": "single_view"}]
)
def test_is_the_sum_over_views_and_layers_of_attention_transfer(settings: dict) -> None:
    kd = MultiViewAttentionTransfer.between(SMALL_2, BASE_3, distance="l2", **settings)
    noisy = torch.randn(2, 900)
    given = {
        "student_features": features(SMALL_2, kd.student_taps, noisy),
        "teacher_features": features(BASE_3, kd.teacher_taps, noisy),
    }
    loss, parts = kd.with_parts(**given)

    suffix = "_after" if settings.get("tap") == "after" else ""
    expected = {}
    for view in settings.get("views", VIEWS):
        pairs = [(f"{s}.attention.{view}{suffix}", f"{t}.attention.{view}{suffix}") for s, t in kd.pairs]
        expected[view] = sum(AttentionTransfer([pair], distance="l2")(**given) for pair in pairs)
    if "fallback" in settings:
        pairs = both((1, 1))
        expected["single_view"] = sum(AttentionTransfer([pair], distance="l2")(**given) for pair in pairs)
    torch.testing.assert_close(loss, sum(expected.values()))
    assert parts.keys() == {"loss", *expected}
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value.detach())


def test_zero_between_equal_networks_and_only_the_student_learns() -> None:
    student, teacher = manner(2, "all"), manner(2, "all")
    noisy = torch.randn(2, 300)
    kd = MultiViewAttentionTransfer.between(student, teacher)
    student_features = features(student, kd.student_taps, noisy)
    assert kd(student_features=student_features, teacher_features=student_features) == 0

    kd(
        student_features=student_features, teacher_features=features(teacher, kd.teacher_taps, noisy)
    ).backward()
    assert all(p.grad is None for p in teacher.parameters())
    reached = {name for name, p in student.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(name.startswith("encoder.1.down") for name in reached)
    # a tap at the attention itself leaves the layers behind the last tap alone
    assert not any(name.startswith(("output", "mask")) for name in reached)


def test_networks_without_the_block_are_refused() -> None:
    convtasnet = build_model({"preset": "convtasnet-tiny"})
    with pytest.raises(
        UserError, match=r"the student has no attention block: .*encoder\.1\.attention\.channel"
    ):
        MultiViewAttentionTransfer.between(convtasnet, SMALL_2)
    with pytest.raises(UserError, match=r"the teacher has no attention block: .*loss: attention"):
        MultiViewAttentionTransfer.between(SMALL_2, convtasnet)


def test_a_deeper_student_is_refused() -> None:
    with pytest.raises(UserError, match="the student's encoder has 3 layers and the teacher's 2"):
        MultiViewAttentionTransfer.between(SMALL_3, SMALL_2)
    kd = MultiViewAttentionTransfer([("encoder.3", "encoder.2")], views=("local",))
    assert kd.student_taps == ("encoder.3.attention.local",)


def test_no_depth_in_common_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"the student has them in decoder\.2, encoder\.2, .*; set dual_depth"
    ):
        MultiViewAttentionTransfer.between(SMALL_2, SMALL_3, dual_depth=False)
    with pytest.raises(UserError, match="give pairs"):
        MultiViewAttentionTransfer.between(manner(1, "all"), SMALL_3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": ["chanel"]}, "did you mean channel"),
        ({"views": []}, "views"),
        ({"views": "local"}, "list"),
        ({"views": ["local", "local"]}, "different"),
        ({"tap": "before"}, "tap = 'before'"),
        ({"fallback": "none"}, "fallback"),
        ({"distance": "l3"}, "distance"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        MultiViewAttentionTransfer.between(SMALL_2, BASE_3, **settings)
