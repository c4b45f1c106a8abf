"""A table of the patches: shares as the analysis has them, curves, and the analysis beside the result."""

import copy
import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from sedistill.analyzing.categories import CATEGORIES
from sedistill.analyzing.command import THRESHOLD
from sedistill.analyzing.trends import Sorting, read_runs
from sedistill.common.settings import check_settings
from sedistill.workflows.reproducing import training_traces
from sedistill.workflows.reproducing.command import reproduce
from sedistill.workflows.reproducing.table import Table

from .conftest import TABLE

for package in ("filelock", "jinja2", "matplotlib", "tensorboard"):
    pytest.importorskip(package)

ROW = {"key": "alone", "label": "Alone", "recipe": "table1/alone"}


@pytest.fixture
def patches(paper: Path) -> Path:
    """The folder of a table whose second and fourth rows share their runs."""
    table = {
        **copy.deepcopy(TABLE),
        "views": {"shares": {"title": "Shares", "statistic": "patches"}},
        "rows": [
            {"key": "teacher", "label": "T", "recipe": "table1/teacher", "seeds": 1,
             "paper": {"shares": [None, None, 0.8, 3.5]}},
            {"key": "alone", "label": "Alone", "recipe": "table1/alone"},
            {"key": "l2", "label": "L2", "recipe": "table1/l2"},
            {"key": "again", "label": "Again", "recipe": "table1/alone"},
        ],
    }  # fmt: skip
    table["scales"]["small"]["recipe"] |= {"patch_record": {"clips": 2, "every_steps": 1}}  # type: ignore[index]
    place = paper / "figure2" / "table.yaml"
    place.parent.mkdir()
    place.write_text(yaml.safe_dump(table, sort_keys=False), encoding="utf-8")
    return place.parent


@pytest.mark.slow
def test_shares_of_patches(patches: Path, recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    place = reproduce(patches, recordings, output, scale="small", seeds=2, only=["teacher", "alone"])
    assert place is not None

    rows = {(row["row"], row["quantity"]): row for row in csv.DictReader((place / "result.csv").open())}
    for key, seeds in (("teacher", 1), ("alone", 2), ("again", 2)):
        assert sum(float(rows[key, category]["ours"]) for category in CATEGORIES) == pytest.approx(100)
        assert rows[key, "exploding"]["seeds"] == str(seeds)
    assert rows["teacher", "exploding"]["paper"] == "3.5"
    assert rows["l2", "converged"]["ours"] == ""
    runs = [output / f"runs/tiny/table1/alone/seed-{seed}" for seed in (0, 1)]
    shares = [run.shares() for run in read_runs(runs, Sorting(-THRESHOLD, THRESHOLD))]
    for index, category in enumerate(CATEGORIES):
        by_seed = [float(value) for value in rows["alone", category]["by_seed"].split()]
        assert by_seed == pytest.approx([100 * share[index] for share in shares])

    assert sorted(path.name for path in place.glob("*.svg")) == ["patches-alone.svg", "patches-teacher.svg"]
    facts = yaml.safe_load((place / "analysis" / "analysis.yaml").read_text())
    assert list(facts["runs"]) == ["tiny/table1/teacher/seed-0", "tiny/table1/alone/seed-0"]

    # A row more: the analysis grows, and knows who the teacher is.
    reproduce(patches, recordings, output, scale="small", only=["l2"])
    facts = yaml.safe_load((place / "analysis" / "analysis.yaml").read_text())
    assert (len(facts["runs"]), facts["teacher"]) == (3, "tiny/table1/teacher/seed-0")


def test_a_table_may_show_ratios_and_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [{"title": kind, "statistic": kind} for kind in ("ratio", "patches")]
    table = check_settings(Table, {**TABLE, "views": {"r": views[0], "p": views[1]}, "rows": [ROW]}, "t")
    monkeypatch.setattr(training_traces, "last_ratios", lambda *_: {0: {"ratio": 0.5}})
    monkeypatch.setattr(
        training_traces, "patch_shares", lambda *_: {0: {"exploding": 3.0}, 1: {"exploding": 4.0}}
    )
    seen = training_traces.observed(SimpleNamespace(table=table))  # type: ignore[arg-type]
    assert seen == {"alone": {0: {"ratio": 0.5, "exploding": 3.0}, 1: {"exploding": 4.0}}}
