"""NaN and infinity never hide: a loss is not finite where a signal is not, be it in one sample or one bin."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from sedistill.analyzing.categories import categorize
from sedistill.distill import BIN_LOSSES
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.kdrl import PolicyNetwork, bounded_target, loss_weights, policy_loss, reward
from sedistill.distill.patches import MultiScalePatches, UniformPatches
from sedistill.distill.ranking import Criterion
from sedistill.distill.selection import keep_top
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.patch_record.patch_trends import PatchTrends, patch_errors
from sedistill.training.tasks import level_gain
from tests.distill.feature_objectives import EVERY_FEATURE_OBJECTIVE, NAMES, some_features
from tests.distill.signal_objectives import EVERY_SIGNAL_OBJECTIVE, needed, some_signals

BROKEN = [math.nan, math.inf]
PATCHES = [UniformPatches(20), MultiScalePatches(10, 40)]


def with_one(values: Tensor, broken: complex, *place: int) -> Tensor:
    values = values.clone()
    values[place] = broken
    return values


def is_finite(loss: Tensor) -> bool:
    return math.isfinite(float(loss.detach()))


def assert_shows(kd: DISPatch) -> None:
    """Of each signal in turn one sample and one bin of the second clip is broken."""
    signals = {name: some_signals(samples=600)[name] for name in kd.needs}
    spectra = {name: kd.stft(wave) for name, wave in signals.items()}
    assert is_finite(kd.on_spectra(**spectra))
    for name in kd.needs:
        for broken in BROKEN:
            spoilt = with_one(spectra[name], broken, 1, 200, 3)
            assert not is_finite(kd.on_spectra(**{**spectra, name: spoilt}))
        assert not is_finite(kd(**{**signals, name: with_one(signals[name], math.nan, 1, 300)}))


@pytest.mark.parametrize("score", [one for one in get_args(Criterion) if one != "agreement"])
@pytest.mark.parametrize("loss", BIN_LOSSES)
def test_in_every_bin_loss_with_every_criterion(loss: str, score: str) -> None:
    for target in ("teacher", "clean"):
        for patches in PATCHES:
            assert_shows(DISPatch(BIN_LOSSES[loss](), patches, keep=0.3, score=score, target=target))


@pytest.mark.parametrize(
    "settings",
    [
        {"keep": 1.0}, {"keep": 1.0, "target": "clean"}, {"normalizer": "patches"}, {"normalizer": "eq6"},
        {"gate": "teacher_over_student"}, {"gate": "teacher_over_noisy", "score": "random"},
        {"gate": "teacher_over_noisy", "keep": 1.0, "target": "clean"},
        {"gate": "teacher_over_both", "gate_softness": 0.5}, {"score_reduction": "sum"},
        {"patches": MultiScalePatches(), "per_band": True}, {"patches": MultiScalePatches(frames=3)},
        {"rank_over": "batch"}, {"keep": 1.0, "threshold": 0.0}, {"gap_metric": BIN_LOSSES["log_l1"]()},
        {"keep": 1.0, "threshold": 0.0, "threshold_unit": "deviations", "score": "student_top"},
        {"keep_schedule": "positive_gaps", "score": "random"},
    ],
)  # fmt: skip
def test_in_every_way_to_count_patches(settings: dict) -> None:
    assert_shows(DISPatch(BIN_LOSSES["l2"](), **{"keep": 0.8, **settings}))


def test_in_a_sum_of_two_bands() -> None:
    for keep in (0.3, 1.0):
        assert_shows(DISPatch(BIN_LOSSES["dfkd"](), keep=keep, reduction="bands"))


def test_the_other_clips_are_left_as_they_are() -> None:
    kd = DISPatch(BIN_LOSSES["l2"](), keep=0.3)
    signals = {name: some_signals()[name] for name in kd.needs}
    spoilt = {**signals, "clean": with_one(signals["clean"], math.nan, 1, 300)}
    with torch.no_grad():
        first = {name: wave[:1] for name, wave in spoilt.items()}
        assert torch.equal(kd(**first), kd(**{name: wave[:1] for name, wave in signals.items()}))


@pytest.mark.parametrize("objective", EVERY_SIGNAL_OBJECTIVE, ids=lambda one: type(one).__name__)
def test_in_every_objective_on_signals(objective: object) -> None:
    signals = needed(objective, some_signals())  # type: ignore[arg-type]
    for name, wave in signals.items():
        for broken in BROKEN:
            spoilt = wave.clone()
            spoilt[1, ..., 600] = broken
            assert not is_finite(objective(**{**signals, name: spoilt}))  # type: ignore[operator]


@pytest.mark.parametrize("objective", EVERY_FEATURE_OBJECTIVE, ids=NAMES)
def test_in_every_objective_on_features(objective: object) -> None:
    features = some_features(objective)
    assert is_finite(objective(**features))  # type: ignore[operator]
    for side, layers in features.items():
        for name, values in layers.items():
            for broken in BROKEN:
                spoilt = {**layers, name: with_one(values, broken, 1, 0, 2)}
                assert not is_finite(objective(**{**features, side: spoilt}))  # type: ignore[operator]


@pytest.mark.parametrize("name", ENHANCEMENT_LOSSES)
def test_in_every_enhancement_loss_in_that_clip_alone(name: str) -> None:
    signals = some_signals()
    parts = [signals[one] for one in ("student", "clean", "noisy")]
    for place in (0, 1, 2) if name == "manner" else (0, 1):  # the others do not look at the noisy signal
        for broken in BROKEN:
            spoilt = [with_one(one, broken, 1, 600) if n == place else one for n, one in enumerate(parts)]
            losses = ENHANCEMENT_LOSSES[name](*spoilt)
            assert losses.isfinite().tolist() == [True, False]


@pytest.mark.parametrize("broken", BROKEN)
def test_in_every_formula_of_kdrl(broken: float) -> None:
    distances = torch.tensor([1.0, 2.0, 3.0])
    for place in range(3):
        given = [with_one(distances, broken, 1) if n == place else distances + n for n in range(3)]
        assert reward(*given).isfinite().tolist() == [True, False, True]
    ratio = torch.full((3,), 0.5)
    for method in ("A", "B", "C"):
        for direction in ("intent", "printed"):
            target = bounded_target(
                ratio, with_one(distances, math.nan, 1), distances,
                method=method, epochs=3, floor=1.0, direction=direction,
            )  # fmt: skip
            assert target.isnan().tolist() == [False, True, False]
    weights = loss_weights("A", with_one(ratio, math.nan, 1))
    assert [part.isnan().tolist() for part in weights] == [[False, True, False]] * 2
    assert policy_loss(with_one(ratio, math.nan, 1), ratio).isnan()


@pytest.mark.parametrize("place", range(3))
def test_in_the_policy_network(place: int) -> None:
    network = PolicyNetwork(60).eval()
    waves = [0.1 * torch.randn(2, 60) for _ in range(3)]
    waves[place] = with_one(waves[place], math.nan, 1, 30)
    assert network(*waves).isfinite().tolist() == [True, False]


def test_a_patch_without_a_score_ranks_highest_and_the_number_kept_is_right() -> None:
    score = torch.tensor([[[1.0, math.nan, 3.0, 2.0]]])
    assert keep_top(score, torch.ones_like(score, dtype=torch.bool), 0.5).tolist() == [
        [[False, True, True, False]]
    ]


def test_in_the_statistics_of_patches() -> None:
    spectra = [torch.randn(1, 60, 4, dtype=torch.complex64) for _ in range(2)]
    for place in range(2):
        spoilt = [with_one(s, math.nan, 0, 5, 1) if n == place else s for n, s in enumerate(spectra)]
        errors = patch_errors(*spoilt)[0].numpy()
        trends = PatchTrends.empty(*errors.shape).with_record(np.ones_like(errors)).with_record(errors)
        assert not np.isfinite(trends.changes).all()
        with pytest.raises(ValueError, match="not finite"):
            categorize(trends.changes, trends.last)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_level_that_is_not_finite_is_no_gain_of_0(broken: float) -> None:
    clean = with_one(0.1 * torch.randn(2, 100), broken, 1, 50)
    assert level_gain(clean, -12.0).isfinite().tolist() == [[True], [False]]
