"""The whole way in miniature: interrupted at every stage, by hand, gone on from, and what it refuses."""

import os
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import sedistill
from sedistill.cli import app
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.evaluation.scores import load_scores
from sedistill.models.saving import load_model, model_hash
from sedistill.training.loop import Loop
from sedistill.workflows.distilling import deciding, stages
from sedistill.workflows.distilling.command import Distilled, distil
from tests.data.sounds import noise, save

HOURS = 0.02
STAGES = (
    "prepare_corpus", "mix_sets", "check_teacher", "keep_outputs", "save_student", "evaluate_all",
    "enhance_recordings",
)  # fmt: skip


def run(output: Path, folders: dict[str, str], **changes: Any) -> Distilled:
    result = distil(output, **{**folders, "student": "convtasnet-tiny", "hours": HOURS, "weak_teacher": True,
                               **changes})  # fmt: skip
    assert result is not None
    return result


@pytest.mark.usefixtures("small")
def test_the_whole_way_interrupted_at_every_stage(
    tmp_path: Path,
    folders: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = run(tmp_path / "whole", folders)
    told = capsys.readouterr().out
    assert "[7/7] The page" in told
    assert "distilled student" in told

    parts = tmp_path / "parts"
    for name in STAGES:
        with monkeypatch.context() as patch:
            patch.setattr(stages, name, _ctrl_c)
            with pytest.raises(KeyboardInterrupt):
                run(parts, folders)
        if name == "keep_outputs":
            _interrupt_training(parts, folders)
    result = run(parts, folders)
    for name in ("distilled", "alone"):
        model = Path("runs", name, "seed-0", "student")
        assert model_hash(parts / model) == model_hash(tmp_path / "whole" / model)
    assert (
        model_hash(result.student)
        == model_hash(whole.student)
        != model_hash(parts / "runs/alone/seed-0/student")
    )
    assert [row.values for row in result.scores.clips] == [row.values for row in whole.scores.clips]
    assert result.mean("noisy", "stoi") == whole.mean("noisy", "stoi")
    assert list(result.labels) == ["noisy", "distilled", "alone", "teacher"]
    assert "<html" in result.report.read_text("utf-8")

    before = {path: path.stat().st_mtime_ns for path in parts.rglob("*.safetensors")}
    run(parts, folders)  # a finished one is read back
    assert {path: path.stat().st_mtime_ns for path in parts.rglob("*.safetensors")} == before

    _assert_the_commands_do_the_same(tmp_path, monkeypatch)
    _assert_another_request_is_refused(parts, folders)


def _ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def _interrupt_training(output: Path, folders: dict[str, str]) -> None:
    """A Ctrl-C in the middle of the second training."""
    step = Loop._train_on

    def step_then_ctrl_c(self: Loop, batch: Any) -> str:
        note = step(self, batch)
        if self.progress.step == 3 and "alone" in str(self.folder):
            os.kill(os.getpid(), signal.SIGINT)
        return note

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_train_on", step_then_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(output, folders)
    assert (output / "runs/alone/seed-0/checkpoints/last.ckpt").exists()
    assert not (output / "student").exists()


def _assert_the_commands_do_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """commands.sh in a new folder gives the same student and the same scores."""
    by_hand, made = tmp_path / "by-hand", tmp_path / "whole"
    by_hand.mkdir()
    shutil.copytree(made / "recipes", by_hand / "recipes")
    monkeypatch.chdir(by_hand)
    lines = (made / "commands.sh").read_text().splitlines()
    for line in lines:
        if line.startswith("sedistill "):
            app(shlex.split(line)[1:], standalone_mode=False)
    student = Path("runs/distilled/seed-0/student")
    assert model_hash(student) == model_hash(made / student)
    one, other = (load_scores(place / "scores")["test"] for place in (made, by_hand))
    assert [row.values for row in one.clips] == [row.values for row in other.clips]
    assert len(list(Path("enhanced").rglob("*.flac"))) == 3
    monkeypatch.chdir(tmp_path)


def _assert_another_request_is_refused(output: Path, folders: dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"was begun with --hours {HOURS:g}, not 5.0"):
        run(output, folders, hours=5.0)
    with pytest.raises(UserError, match="was begun with --student convtasnet-tiny, not gtcrn"):
        run(output, folders, student="gtcrn")


@pytest.mark.usefixtures("small")
def test_a_larger_teacher_and_then_more_noise(
    tmp_path: Path, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "usable_cores", lambda: 1)
    first = run(tmp_path / "first", folders, teacher="larger", twin=False)
    recipe = yaml.safe_load((tmp_path / "first/recipes/teacher.yaml").read_text())
    assert recipe["student"] == "convtasnet-small-teacher"  # of those with twice the parameters the smallest
    assert list(first.labels) == ["noisy", "distilled", "teacher"]
    assert not (tmp_path / "first/runs/alone").exists()

    more = tmp_path / "more"
    for number in range(4):
        save(more / f"hall/{number}.flac", noise(2, 700 + number))
    save(more / "yours/a.wav", noise(1, 99))
    second = distil(
        tmp_path / "second", start=first.folder, noise=more / "hall", noisy=more / "yours", hours=HOURS,
        weak_teacher=True, twin=False,
    )  # fmt: skip
    assert second is not None
    corpora = [Corpus.load(result.folder / "corpus") for result in (first, second)]
    assert len(corpora[1]) == len(corpora[0]) + 4
    recipe = yaml.safe_load((tmp_path / "second/recipes/distilled.yaml").read_text())
    assert recipe["student"] == str(first.student)
    assert recipe["teacher"] == str(first.folder / "runs/teacher/seed-0/student")
    assert recipe["optimiser"]["learning_rate"] == 5e-4
    assert load_model(second.student).preset == "convtasnet-tiny"
    before, after = (load_model(one.student).state_dict() for one in (first, second))
    moved = max(float((before[name] - after[name]).abs().max()) for name in before)
    assert 0 < moved < 0.1  # it goes on from the first one
    assert [path.name for path in (second.folder / "enhanced").rglob("*.wav")] == ["a.wav"]
    assert "Your recording a.wav" in second.report.read_text("utf-8")


@pytest.mark.usefixtures("small")
def test_a_teacher_worse_than_nothing_stops_it(
    tmp_path: Path, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"worse than the noisy input: .*STOI 0\.\d+ \(noisy 0\.\d+\)"):
        run(tmp_path / "out", folders, weak_teacher=False)
    assert (tmp_path / "out/sets/train").exists()  # nothing is lost
    monkeypatch.setattr(stages, "keep_outputs", _ctrl_c)
    with pytest.raises(KeyboardInterrupt):  # told to, it goes on in the same place
        run(tmp_path / "out", folders, weak_teacher=True)


def test_bad_input_is_refused_in_one_sentence(
    tmp_path: Path, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "_measure", _ctrl_c)  # nothing here gets as far as that
    (tmp_path / "empty").mkdir()
    save(tmp_path / "single/a.wav", noise(1))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thing.txt").write_text("mine")
    torch.manual_seed(0)
    other_rate = sedistill.build_model({"preset": "convtasnet-tiny", "sample_rate": 8_000})
    sedistill.save_model(other_rate, tmp_path / "8k")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"clean": None}, "give a folder of clean speech and one of noise"),
        ({"clean": tmp_path / "nowhere"}, "nowhere does not exist"),
        ({"clean": tmp_path / "empty"}, "holds no audio files"),
        ({"noise": tmp_path / "single"}, "holds one file only of noise"),
        ({"hours": 0}, "hours = 0"),
        ({"hours": float("nan")}, "hours"),
        ({"student": "fastenhancer-q"}, "there is no preset 'fastenhancer-q'; did you mean"),
        ({"teacher": tmp_path / "8k"}, "is for 8000 Hz but the data have 16000 Hz"),
        ({"teacher": "fastenhancer-x"}, "fastenhancer-x"),
        ({"teacher": "larger", "student": "tstnn"}, "there is no larger preset of TSTNN"),
        ({"start": tmp_path / "empty"}, "take out --student or --from"),
        ({"start": tmp_path / "empty", "student": None}, "is no result of `sedistill distil`"),
        ({"start": tmp_path / "empty", "student": None, "clean": None, "noise": None}, "say what is new"),
        ({"output": tmp_path / "other"}, "holds something else"),
        ({"output": tmp_path / "single/out", "noise": tmp_path / "single"}, "lie one in the other"),
    ]
    for changes, sentence in cases:
        output = changes.pop("output", tmp_path / "out")
        with pytest.raises(UserError) as refused:
            run(output, folders, **changes)
        assert sentence in str(refused.value), (changes, str(refused.value))
        assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thing.txt"]


@pytest.mark.usefixtures("small")
def test_the_plan_writes_nothing(
    tmp_path: Path, folders: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {**folders, "student": "convtasnet-tiny", "hours": HOURS}
    assert distil(tmp_path / "out", **asked, plan_only=True) is None
    told = capsys.readouterr().out
    assert "8 files, 19 s" in told
    assert "together" in told
    assert "Disk: about" in told
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"--hours 0.001 is too short.*give --hours 0\.0"):
        distil(tmp_path / "out", **{**asked, "hours": 0.001})
    assert not (tmp_path / "out").exists()


def test_it_is_public() -> None:
    assert sedistill.distil is distil
