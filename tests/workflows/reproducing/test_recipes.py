"""Every table and recipe of the papers that ships: read, checked, its networks and objectives built."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sedistill.common.settings import check_settings
from sedistill.distill import layer_attention
from sedistill.models.presets import build_model
from sedistill.training.inputs import tap_names
from sedistill.training.recipe.schema import Recipe
from sedistill.workflows.reproducing import step_time, timing
from sedistill.workflows.reproducing.runs import needs, plan_work, resolved
from sedistill.workflows.reproducing.shipped import RECIPES
from sedistill.workflows.reproducing.sources import CORPORA, SETS, corpora_of, sources_of
from sedistill.workflows.reproducing.step_time import Stopwatch
from sedistill.workflows.reproducing.table import Scale, load_table

PAPERS = ("dispatch", "dfkd", "mv-at", "kdrl")
OWN = ("real", "evidence")
"""Experiments of this project, which have no numbers of a paper and one scale."""
READY_MADE = (Path("deepfilternet"), Path("fastenhancer-b"))
"""Teachers that no recipe trains."""
TABLES = {
    "dispatch": ("table1", "table2", "table3", "figure2"),
    "dfkd": ("table1", "table2"),
    "mv-at": ("table1", "table2", "table3"),
    "kdrl": (
        "table2",
        "table4",
        "table5-8",
        "table9-11",
        "table12-14",
        "table15",
        "figure6",
        "figure7",
        "figure8-9",
        "figure10-11",
    ),
    "real": ("small", "methods", "networks", "table1"),
    "evidence": ("selection",),
}
FOLDERS = [RECIPES / paper / table for paper, tables in TABLES.items() for table in tables]
NAMES = sorted(
    f"{paper}/{path.relative_to(RECIPES / paper).with_suffix('')}"
    for paper in TABLES
    for path in (RECIPES / paper).glob("*/*.yaml")
    if path.name != "table.yaml"
)


def scales_of(paper: str) -> dict[str, Scale]:
    return load_table(RECIPES / paper / TABLES[paper][-1]).scales


@cache
def recipe(name: str, scale: str) -> Recipe:
    paper = name.split("/")[0]
    mapping = resolved(name, RECIPES / paper, scales_of(paper)[scale])
    return check_settings(Recipe, mapping, name)


def network_of(one: Recipe, scale: str) -> Any:
    """The network of a recipe, or of the run it goes on from."""
    origin = needs({"student": one.student})
    return network_of(recipe(origin[0].name, scale), scale) if origin else built(json.dumps(one.student))


@cache
def built(description: str) -> nn.Module:
    with torch.device("meta"):  # shapes and names are enough
        return build_model(json.loads(description))


def test_every_table_is_there() -> None:
    assert {path.parent for path in RECIPES.glob("*/*/table.yaml")} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_table_fits_together(folder: Path) -> None:
    table = load_table(folder)
    is_own = folder.parent.name in OWN
    assert any(row.paper for row in table.rows) != is_own, "the paper's numbers stand beside the rows"
    if not table.trains:
        return
    assert set(table.scales) == ({"full"} if is_own else {"full", "small"})
    for scale in table.scales.values():
        work = plan_work(folder, table, scale, seeds=2)
        corpora, sets = sources_of(work.recipes.values(), scale)
        for one in work.recipes.values():
            train, valid = one["data"]["train"], one["data"]["valid"]
            assert train in {*(f"{CORPORA}/{c}" for c in corpora), *(f"{SETS}/{s}" for s in sets)}
            assert valid in {f"{SETS}/{name}" for name in sets}
        assert corpora_of(sets, scale) <= set(scale.corpora)
        for view in table.views.values():
            if view.set is not None:
                assert scale.sets[view.set].label, "what is scored on is said in words"


def test_every_recipe_belongs_to_a_table() -> None:
    used = set()
    for folder in FOLDERS:
        table = load_table(folder)
        for scale in table.scales.values():
            used |= set(plan_work(folder, table, scale, seeds=1).recipes)
    assert used == set(NAMES)


@pytest.mark.parametrize(
    ("name", "scale"),
    [(name, scale) for name in NAMES for scale in scales_of(name.split("/")[0])],
)
def test_a_recipe_builds(name: str, scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = recipe(name, scale)
    student = network_of(one, scale)
    teachers = [network_of(recipe(run.name, scale), scale) for run in needs({"teacher": str(one.teacher)})]
    teacher = teachers[0] if teachers else None
    assert (teacher is None) == (one.teacher is None or one.teacher in READY_MADE)
    monkeypatch.setattr(layer_attention, "features_of", named_features)
    objectives = {str(n): (o.weight, o.build(student, teacher)) for n, o in enumerate(one.objectives)}
    for network, side in ((student, "student_taps"), (teacher, "teacher_taps")):
        for tap in tap_names(objectives, side):
            assert network is not None
            network.get_submodule(tap)
    if one.kdrl is not None:
        one.kdrl.distance_for(student.se_loss)
    assert bool(one.objectives) == one.distils


def named_features(network: nn.Module, names: Sequence[str], whose: str) -> dict[str, Tensor]:
    """What `features_of` gives in shape, without a pass through a large network."""
    for name in names:
        network.get_submodule(name)
    return {name: torch.zeros(1, 3, 8) for name in names}


@pytest.mark.parametrize("paper", PAPERS)
def test_every_network_is_small_at_small_scale(paper: str) -> None:
    for name in NAMES:
        if name.startswith(f"{paper}/"):
            assert sum(p.numel() for p in network_of(recipe(name, "small"), "small").parameters()) < 2e6


def test_every_objective_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_time, "_at_size", lambda seconds_of, batch, clip_seconds: seconds_of(1, 0.1))
    monkeypatch.setattr(timing, "enough", lambda taken, waited: bool(taken))
    stopwatch = Stopwatch(threads=1)
    for name in NAMES:
        one = recipe(name, "full" if name.startswith(OWN) else "small")
        if one.distils:
            assert 0 <= stopwatch._objectives(one, 1, 0.1, torch.device("cpu")).median < 60


def test_settings_are_the_papers() -> None:
    dispatch = recipe("dispatch/table1/convtasnet-dfkd-dispatch-mssp", "full")
    assert dispatch.student == "convtasnet-dispatch-student"
    optimiser = dispatch.optimiser
    assert (optimiser.batch_size, optimiser.learning_rate, optimiser.clip_norm) == (16, 1e-3, 5)
    assert (optimiser.halve_after, optimiser.stop_after, optimiser.max_epochs) == (3, 10, 100)
    assert (dispatch.data.mixing.clip_seconds, dispatch.se_weight, dispatch.kd_weight) == (4, 0.5, 0.5)
    assert recipe("dfkd/table2/dptnet-tiny-dfkd", "full").data.mixing.clip_seconds == 6
    manner = recipe("mv-at/table1/s-8.1gf-mv-at-kd", "full")
    assert (manner.optimiser.batch_size, manner.optimiser.max_epochs) == (4, 350)
    assert (manner.optimiser.max_steps, manner.optimiser.best_by) == (None, "pesq_wb")
    assert (manner.data.mixing.clip_seconds, manner.data.segment_stride_seconds) == (4, 1)
    assert [o.name for o in manner.objectives] == ["multi_view_attention", "clean_and_noise"]
    assert scales_of("mv-at")["full"].corpora["voicebank-demand-28"].valid_speakers == ["p282", "p287"]
    for name in (name for name in NAMES if name.startswith("mv-at/")):
        one = recipe(name, "full")
        assert (one.kd_level_db, recipe(name, "small").kd_level_db) == (None, None)
        assert (one.optimiser.clip_norm, one.optimiser.max_epochs) == (None, 350)
    dns = recipe("mv-at/table2/s-5.3gf-mv-at", "full")
    fixed = scales_of("mv-at")["full"].sets[dns.data.train.name]
    assert fixed.mixing is not None
    assert fixed.count * fixed.mixing.clip_seconds == 50 * 3600, "a fixed 50 h"  # type: ignore[operator]
    footings = {
        row.key: recipe(f"mv-at/{row.recipe}", "full")
        .objectives[0]
        .model_dump(include={"distance", "reduction"})
        for row in load_table(RECIPES / "mv-at" / "table3").rows
        if row.key in ("mv-at", "mv-at-l2", "mv-at-l1-norm", "mv-at-l2-norm")
    }
    assert footings == {
        "mv-at": {"distance": "l1", "reduction": "mean"},
        "mv-at-l2": {"distance": "l2", "reduction": "mean"},
        "mv-at-l1-norm": {"distance": "l1", "reduction": "sum"},
        "mv-at-l2-norm": {"distance": "l2", "reduction": "sum"},
    }
    assert all(recipe(n, "full").optimiser.clip_norm is None for n in NAMES if n.startswith("kdrl/"))
    kdrl = recipe("kdrl/table12-14/method-c-fast", "full")
    assert kdrl.kdrl is not None
    assert (kdrl.kdrl.policy_learning_rate, kdrl.kdrl.policy_learning_rate_end) == (1e-5, 1e-6)
    assert recipe("kdrl/table5-8/method-c", "full").data.crop_seconds == pytest.approx(16_009 / 16_000)


def test_equal_rows_are_one_run() -> None:
    """Table 2's 10/40 and table 3's KGS are rows of table 1 in the paper, and so are trained once."""
    one, two, three = (load_table(RECIPES / "dispatch" / table) for table in TABLES["dispatch"][:3])
    by_recipe = {row.recipe: row for row in one.rows}
    for table in (two, three):
        for row in table.rows:
            if row.recipe in by_recipe:
                assert row.paper["dns"] == by_recipe[row.recipe].paper["dns"]
                assert row.paper["vbd"] == by_recipe[row.recipe].paper["vbd"]
    assert "table1/convtasnet-dfkd-dispatch-mssp" in {row.recipe for row in two.rows}
    assert "table1/convtasnet-l2-dispatch" in {row.recipe for row in three.rows}
