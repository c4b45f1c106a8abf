"""What holds for every objective on features."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.distill.gram import GramSimilarity
from sedistill.distill.layer_attention import LayerAttention
from tests.distill.feature_objectives import EVERY_FEATURE_OBJECTIVE, NAMES, changed, some_features

WITHOUT_PARAMETERS = [kd for kd in EVERY_FEATURE_OBJECTIVE if not isinstance(kd, LayerAttention)]


@pytest.mark.parametrize("objective", EVERY_FEATURE_OBJECTIVE, ids=NAMES)
class TestEveryFeatureObjective:
    def test_parts_are_scalars_without_gradient(self, objective: Any) -> None:
        features = some_features(objective)
        loss, parts = objective.with_parts(**features)
        assert loss.ndim == 0
        assert loss > 0
        assert torch.equal(loss, objective(**features))
        assert parts["loss"] == loss
        assert all(part.ndim == 0 and not part.requires_grad for part in parts.values())
        assert objective.needs == ("student_features", "teacher_features")

    def test_gradient_into_the_student_only(self, objective: Any) -> None:
        features = some_features(objective)
        every = [values.requires_grad_() for side in features.values() for values in side.values()]
        before = [values.detach().clone() for values in every]
        objective(**features).backward()
        for values in features["student_features"].values():
            assert values.grad is not None
            assert values.grad.abs().sum() > 0
        assert all(values.grad is None for values in features["teacher_features"].values())
        assert all(torch.equal(now, then) for now, then in zip(every, before, strict=True))

    @pytest.mark.parametrize("level", [0.0, 1e-30, 1e-12, 1e-6, 1e6])
    @pytest.mark.parametrize("silent", ["student", "teacher", "both"])
    def test_finite_on_silence_and_at_any_level(self, objective: Any, silent: str, level: float) -> None:
        features = some_features(objective)
        for whose in ("student", "teacher") if silent == "both" else (silent,):
            features = changed(features, whose, lambda values: values * level)
        ours = features["student_features"].values()
        for values in ours:
            values.requires_grad_()
        loss = objective(**features)
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(values.grad).all() for values in ours)

    def test_half_precision_counts_in_float32(self, objective: Any) -> None:
        features = some_features(objective)
        for whose in ("student", "teacher"):
            features = changed(features, whose, lambda values: (300 * values).bfloat16())
        exact = features
        for whose in ("student", "teacher"):
            exact = changed(exact, whose, lambda values: values.float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = objective(**features)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, objective(**exact), rtol=1e-6, atol=0)

    @pytest.mark.parametrize("wide", ["student", "teacher"])
    def test_one_network_may_be_in_float64(self, objective: Any, wide: str) -> None:
        features = some_features(objective)
        loss = objective(**changed(features, wide, lambda values: values.double()))
        torch.testing.assert_close(loss.float(), objective(**features), rtol=1e-4, atol=1e-6)

    def test_a_missing_activation_is_named(self, objective: Any) -> None:
        features = some_features(objective)
        lost = objective.teacher_taps[-1]
        del features["teacher_features"][lost]
        with pytest.raises(ValueError, match=f"the teacher's features lack '{lost}'"):
            objective(**features)


@pytest.mark.parametrize("objective", WITHOUT_PARAMETERS, ids=NAMES[: len(WITHOUT_PARAMETERS)])
class TestEveryFeatureObjectiveWithoutParameters:
    def test_zero_when_equal(self, objective: Any) -> None:
        features = some_features(objective, alike=True)
        same = next(iter(features["student_features"].values()))
        for side in ("student", "teacher"):
            features = changed(features, side, lambda values: same.clone())
        for values in features["student_features"].values():
            values.requires_grad_()
        loss = objective(**features)
        loss.backward()
        assert loss == 0
        assert all((values.grad == 0).all() for values in features["student_features"].values())

    @given(level=st.floats(0.01, 100), negative=st.booleans(), order=st.permutations(range(4)))
    def test_level_sign_and_order_of_channels_do_not_matter(
        self, objective: Any, level: float, negative: bool, order: list[int]
    ) -> None:
        features = some_features(objective, alike=True)
        expected = objective(**features)
        factor = -level if negative else level
        for whose in ("student", "teacher"):
            other = changed(features, whose, lambda values: factor * values[:, order])
            torch.testing.assert_close(objective(**other), expected, rtol=1e-4, atol=1e-7)


BY_CLIP = [
    kd for kd in EVERY_FEATURE_OBJECTIVE if not (isinstance(kd, GramSimilarity) and kd.gram == "batch")
]


@pytest.mark.parametrize("objective", BY_CLIP, ids=lambda objective: type(objective).__name__)
def test_batched_is_one_by_one(objective: Any) -> None:
    features = some_features(objective)
    single = [
        objective(**{side: {k: v[i : i + 1] for k, v in of.items()} for side, of in features.items()})
        for i in range(3)
    ]
    torch.testing.assert_close(objective(**features), torch.stack(single).mean())


@pytest.mark.parametrize("objective", EVERY_FEATURE_OBJECTIVE, ids=NAMES)
def test_complex_activations_count_by_magnitude(objective: Any) -> None:
    features = some_features(objective)
    phases = {
        name: torch.polar(values, torch.rand_like(values)).requires_grad_()
        for name, values in features["student_features"].items()
    }
    loss = objective(student_features=phases, teacher_features=features["teacher_features"])
    torch.testing.assert_close(loss, objective(**features))
    loss.backward()
    assert all(torch.isfinite(values.grad).all() for values in phases.values())
