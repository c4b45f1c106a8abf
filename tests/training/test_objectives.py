"""From settings to losses: every setting arrives where it belongs."""

import pytest

from sedistill.distill.dfkd import DFKDLoss, FrequencyAdapter
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.patches import MultiScalePatches, UniformPatches
from sedistill.distill.waveform import SISNRTarget
from sedistill.training.objectives import build_objective, objective_names
from sedistill.training.recipe import ObjectiveSettings


def test_full_method() -> None:
    built = build_objective(
        ObjectiveSettings(
            loss="dfkd", beta=0.3, keep=0.8, patches="multi-scale", low_patch_size=5, scan="descending"
        )
    )
    assert isinstance(built, DISPatch)
    adapter = FrequencyAdapter(scan="descending")
    assert built.loss == DFKDLoss(beta=0.3, adapter=adapter)
    assert built.patches == MultiScalePatches(5, 40)
    assert built.keep == 0.8


def test_scan_reaches_the_patches_of_a_loss_without_bands() -> None:
    built = build_objective(ObjectiveSettings(loss="l2", patches="multi-scale", scan="descending", min_bin=4))
    assert isinstance(built, DISPatch)
    assert built.adapter == FrequencyAdapter(scan="descending", min_bin=4)


def test_defaults_are_plain_distillation() -> None:
    built = build_objective(ObjectiveSettings(loss="l1"))
    assert isinstance(built, DISPatch)
    assert (built.keep, built.patches, built.target) == (1.0, UniformPatches(20), "teacher")
    assert build_objective(ObjectiveSettings(loss="si_snr", target="clean")) == SISNRTarget(target="clean")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"loss": "l2"}, "l2"),
        ({"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"}, "dfkd+dispatch+mssp"),
        ({"loss": "complex_l2", "keep": 0.5, "score": "random"}, "complex_l2+random"),
        ({"loss": "l1", "target": "clean"}, "l1>clean"),
    ],
)
def test_names_say_what_is_done(settings: dict, name: str) -> None:
    assert objective_names([ObjectiveSettings(**settings)]) == [name]


def test_equal_objectives_get_distinct_names() -> None:
    assert (
        len(set(objective_names([ObjectiveSettings(loss="l2"), ObjectiveSettings(loss="l2", keep=1.0)]))) == 2
    )
