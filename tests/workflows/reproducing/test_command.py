"""The whole command on a tiny table: train, score, set side by side; again, in part, and refused."""

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
import yaml

from sedistill.cli import main
from sedistill.common.errors import UserError
from sedistill.evaluation.scores import load_scores
from sedistill.workflows.jobs import Run, Training, Trainings
from sedistill.workflows.reproducing.command import reproduce
from sedistill.workflows.reproducing.session import LOCK
from tests.together import Forked

for package in ("filelock", "jinja2", "matplotlib", "tensorboard"):
    pytest.importorskip(package)


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From this call on trainings are forked: nothing is imported again."""

    def start(self: Trainings, run: Run, place: int) -> Training:
        path = self.log(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        words = self.command(run)
        with path.open("ab") as log:
            process = Forked(_run_command, words[words.index("train") :], self.output, log)
        return Training(run, place, process)  # type: ignore[arg-type]

    return lambda: monkeypatch.setattr(Trainings, "_start", start)


def _run_command(words: list[str], folder: Path, log: IO[bytes]) -> None:
    os.setsid()
    os.chdir(folder)
    with open(log.fileno(), "w", closefd=False) as said:
        sys.stdout = sys.stderr = said
        sys.argv = ["sedistill", *words]
        main()


def weights_of(output: Path) -> dict[str, int]:
    return {
        str(path.relative_to(output)): path.stat().st_mtime_ns
        for path in sorted(output.glob("runs/**/model.safetensors"))
    }


def add_a_comparison(table1: Path) -> None:
    """A ready-made row, and a question."""
    table = yaml.safe_load((table1 / "table.yaml").read_text())
    table["rows"].append({"key": "ready", "label": "Ready", "model": "fastenhancer-t"})
    asked = {"title": "Help?", "baseline": "alone", "rows": ["l2"], "teacher": "ready", "hear": "test"}
    table["compared"] = {"teaching": asked}
    (table1 / "table.yaml").write_text(yaml.safe_dump(table))


@pytest.mark.slow
def test_in_parts_again_and_refused(
    paper: Path,
    recordings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    forked: Callable[[], None],
) -> None:
    table1, output = paper / "table1", tmp_path / "out"
    add_a_comparison(table1)

    def run(**more: object) -> Path:
        place = reproduce(table1, recordings, output, scale="small", **more)  # type: ignore[arg-type]
        assert place is not None
        return place

    # One row first: its network alone is trained.
    place = run(only=["alone"])
    first = weights_of(output)
    assert list(first) == ["runs/tiny/table1/alone/seed-0/student/model.safetensors"]
    assert "| L2 | – | – |" in (place / "result.md").read_text()
    assert not (place / "compared").exists()

    # The whole table: what is there stays.
    forked()
    run(jobs=2)
    second = weights_of(output)
    assert len(second) == 3
    assert second.items() > first.items()
    text = (place / "result.md").read_text()
    assert text.startswith("# Tiny (2020). Table 1: three rows\n\n**Small scale.**")
    assert "One seed: " in text
    assert "A few mixtures, 3 clips." in text
    assert (place / "result.html").read_text().startswith("<!doctype html>")
    rows = {row["row"]: row for row in csv.DictReader((place / "result.csv").open())}
    scores = load_scores(output / "evaluations" / "tiny" / "table1" / "alone" / "seed-0")["test"]
    assert float(rows["alone"]["ours"]) == pytest.approx(scores.mean("student", "si_sdr"))
    assert float(rows["noisy"]["ours"]) == pytest.approx(scores.mean("noisy", "si_sdr"))
    assert float(rows["alone"]["difference"]) == pytest.approx(float(rows["alone"]["ours"]) - 7)
    assert float(rows["ready"]["ours"]) > float(rows["alone"]["ours"])
    compared = {
        row["method"]: row for row in csv.DictReader((place / "compared/teaching/comparison.csv").open())
    }
    assert len(compared) == 3  # noisy and Ready, which is no student, stand beside it
    gain = float(rows["l2"]["ours"]) - float(rows["alone"]["ours"])
    assert float(compared["l2"]["difference"]) == pytest.approx(gain)
    page = (place / "compared/teaching-worst-clips.html").read_text()
    assert page.count('src="data:audio/wav') == 3 * 5  # three clips: noisy, both students, Ready, clean
    config = yaml.safe_load((output / "runs/tiny/table1/l2/seed-0/config.yaml").read_text())
    assert config["recipe"]["data"]["train"] == "sets/train"

    # Once more: nothing is computed again, the result is written anew.
    capsys.readouterr()
    run()
    assert weights_of(output) == second
    assert "validation loss" not in capsys.readouterr().out.split("Test")[0]

    # Other settings have no place in the same folder.
    with pytest.raises(UserError, match=r"holds a run with other settings \(optimiser.learning_rate\)"):
        run(changes=["optimiser.learning_rate=0.5"])
    assert weights_of(output) == second


def test_one_at_a_time(paper: Path, recordings: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / LOCK),
        pytest.raises(UserError, match="another `sedistill reproduce` is at work in"),
    ):
        reproduce(paper / "table1", recordings, tmp_path / "out", scale="small")


def test_failed_runs_are_named_after_the_rest_is_written(
    paper: Path, recordings: Path, tmp_path: Path, forked: Callable[[], None]
) -> None:
    forked()
    (paper / "table1" / "l2.yaml").write_text(
        yaml.safe_dump(
            {
                "base": "../base.yaml",
                "name": "tiny/table1/l2",
                "teacher": "nowhere/student",
                "objectives": [{"loss": "l2"}],
            }
        )
    )
    with pytest.raises(UserError, match=r"1 of 1 runs failed, first tiny/table1/l2, seed 0: nowhere/student"):
        reproduce(paper / "table1", recordings, tmp_path / "out", scale="small", only=["l2"])
    assert (tmp_path / "out" / "tiny" / "table1" / "result.md").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scale": "tiny"}, "scale = tiny: choose full or small"),
        ({"jobs": 0}, "jobs = 0"),
        ({"only": ["lt"]}, "there is no row lt; did you mean l2"),
        ({"data": None}, "say with --data where the recordings are"),
        ({"data": "nowhere"}, "nowhere does not exist; give the folder of the recordings"),
        ({"changes": ["optimizer.max_steps=1"]}, "did you mean optimiser"),
        ({"changes": ["nonsense"]}, "write key=value"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(
    paper: Path, recordings: Path, tmp_path: Path, arguments: dict[str, object], words: str
) -> None:
    given = {"data": recordings, "output": tmp_path / "out", "scale": "small", **arguments}
    with pytest.raises(UserError, match=words):
        reproduce(paper / "table1", **given)  # type: ignore[arg-type]
    assert not (tmp_path / "out" / "corpora").exists()


def test_a_table_of_sizes_needs_no_data(paper: Path, tmp_path: Path) -> None:
    table = {
        "title": "Sizes",
        "paper": "Tiny (2020)",
        "views": {"size": {"title": "Size", "statistic": "size"}},
        "rows": [
            {"key": "gtcrn", "label": "GTCRN", "recipe": "table1/alone", "paper": {"size": [0.0482, 0.033]}},
            {"key": "quoted", "label": "Quoted", "network": "convtasnet-tiny"},
        ],
    }
    (paper / "sizes").mkdir()
    (paper / "sizes" / "table.yaml").write_text(yaml.safe_dump(table))
    place = reproduce(paper / "sizes", output=tmp_path / "out")
    assert place is not None
    text = (place / "result.md").read_text()
    assert "| GTCRN | 0.048 (0.048, " in text
    assert "| Quoted | 0.036 | 0.03 |" in text
    assert "Small scale" not in text
