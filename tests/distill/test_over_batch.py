"""Processes that divide a batch take the mean of their losses, so it has to be that of the whole batch.

What is not so says `over_batch`.
"""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from sedistill.distill import BIN_LOSSES
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.patches import MultiScalePatches
from sedistill.distill.ranking import Criterion
from tests.distill.feature_objectives import EVERY_FEATURE_OBJECTIVE, NAMES, some_features
from tests.distill.signal_objectives import EVERY_SIGNAL_OBJECTIVE, needed, some_signals

COUNTED = [
    {"keep": 1.0}, {"normalizer": "patches"}, {"normalizer": "eq6"}, {"gate": "teacher_over_student"},
    {"gate": "teacher_over_both", "gate_softness": 0.5}, {"score_reduction": "sum"},
    {"patches": MultiScalePatches(), "per_band": True}, {"threshold": 0.0},
    {"keep_schedule": "positive_gaps"}, {"rank_over": "batch"}, {"rank_over": "batch", "normalizer": "eq6"},
    {"rank_over": "batch", "threshold": 0.1, "threshold_unit": "deviations"},
]  # fmt: skip
SCORED = [{"score": score} for score in get_args(Criterion) if score != "random"]
DISPATCHES = [
    *(DISPatch(BIN_LOSSES["l2"](), **{"keep": 0.5, **settings}) for settings in (*COUNTED, *SCORED)),
    *(DISPatch(loss(), keep=0.5) for loss in BIN_LOSSES.values()),
]


def rows(value: Any, part: slice) -> Any:
    if isinstance(value, dict):
        return {name: rows(one, part) for name, one in value.items()}
    return value[part] if isinstance(value, Tensor) else value


def assert_says_whether_clips_meet(objective: Any, signals: dict[str, Any], clips: int) -> None:
    with torch.no_grad():
        whole = float(objective.with_parts(**signals)[0])
        parts = [float(objective.with_parts(**rows(signals, slice(n, n + 1)))[0]) for n in range(clips)]
    is_mean = sum(parts) / clips == pytest.approx(whole, rel=1e-4, abs=1e-7)
    assert is_mean != getattr(objective, "over_batch", False)


@pytest.mark.parametrize("kd", DISPATCHES, ids=str)
def test_of_dispatch(kd: DISPatch) -> None:
    signals = some_signals()
    several = dict(zip("ab", signals["band_teachers"].unbind(dim=1), strict=False))
    given = {**signals, "teachers": several}
    assert_says_whether_clips_meet(kd, {name: given[name] for name in kd.needs}, clips=2)


@pytest.mark.parametrize("objective", EVERY_SIGNAL_OBJECTIVE, ids=lambda one: type(one).__name__)
def test_of_objectives_on_signals(objective: Any) -> None:
    assert_says_whether_clips_meet(objective, needed(objective, some_signals()), clips=2)


@pytest.mark.parametrize("objective", EVERY_FEATURE_OBJECTIVE, ids=NAMES)
def test_of_objectives_on_features(objective: Any) -> None:
    assert_says_whether_clips_meet(objective, some_features(objective), clips=3)
