"""Teachers that are no saved model, and students of another package, through the whole way."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.common.extensions import trusting_code
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation import command as evaluation
from sedistill.models.saving import load_model
from sedistill.teachers.opening import open_teacher
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.workflows.distilling.command import Distilled, distil
from sedistill.workflows.distilling.networks import choose_networks, student_named, teacher_named
from sedistill.workflows.distilling.speed import teaching_seconds

EXAMPLE = Path(__file__).parents[3] / "examples" / "extension"
LATE = """
import numpy as np

def late(noisy):
    return 0.5 * np.pad(noisy, (80, 0))[: len(noisy)].astype(np.float32)
"""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A YAML file that names a function: it gives its input back 5 ms late and at half the level."""
    (tmp_path / "their_code").mkdir()
    (tmp_path / "their_code" / "their_late.py").write_text(LATE)
    monkeypatch.syspath_prepend(tmp_path / "their_code")
    monkeypatch.syspath_prepend(EXAMPLE)
    path = tmp_path / "late.yaml"
    path.write_text("python: their_late:late\nrate: 16000\ndelay_ms: 5\n")
    return path


@pytest.mark.usefixtures("small")
def test_a_function_teaches_a_class_of_another_package(
    tmp_path: Path,
    folders: dict[str, str],
    late: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(**changes: Any) -> Distilled:
        asked: dict[str, Any] = {"teacher": late.name, "student": "sedistill_example.networks.GruMask"}
        result = distil(
            "out", clean=folders["clean"], noise=folders["noise"], hours=0.02, twin=False, **asked | changes
        )
        assert result is not None
        return result

    with pytest.raises(UserError, match="--trust-code"):
        run()
    with trusting_code():
        result = run()
        told = " ".join(capsys.readouterr().out.split())
        assert "GruMask" in told
        assert "delay 5 ms (80 samples), as stated, taken out" in told
        assert "level output times 1." in told
        recipe = yaml.safe_load(Path("out/recipes/distilled.yaml").read_text())
        assert recipe["teacher"] == {"python": "their_late:late", "rate": 16_000, "delay_ms": 5.0}
        assert recipe["student"] == {"class": "sedistill_example.networks.GruMask"}
        assert type(load_model(result.student)).__name__ == "GruMask"
        commands = Path("out/commands.sh").read_text().splitlines()
        scored = shlex.split(next(line for line in commands if line.startswith("sedistill evaluate")))
        assert json.loads(scored[2]) == recipe["teacher"]
        assert "--trust-code" in scored
        assert result.mean("teacher", "si_sdr") == pytest.approx(result.mean("noisy", "si_sdr"), abs=0.01)
        assert "their_late:late" in result.report.read_text("utf-8")
        kept = [path.name for path in Path("out/sets/train/teacher-outputs").iterdir()]
        assert len(kept) == 1  # by distil, and found by the training

        monkeypatch.setattr(evaluation, "score_set", lambda *_: pytest.fail("scored again"))
        run()  # a finished one is read back
        with pytest.raises(UserError, match="begun with --teacher python:their_late:late, not deepfilternet"):
            run(teacher="deepfilternet")


def test_what_is_named_means_the_same_in_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool").touch()
    (tmp_path / "saved").mkdir()
    (tmp_path / "t.yaml").write_text("onnx: net.onnx\nrate: 8000\n")

    def given(named: Any) -> Any:
        teacher = teacher_named(named)
        return teacher.given if isinstance(teacher, TeacherFrom) else teacher

    assert given("net.onnx") == {"onnx": str(tmp_path / "net.onnx")}
    assert given("t.yaml") == {"onnx": str(tmp_path / "net.onnx"), "rate": 8_000}
    assert given("{folder: a, delay_ms: 3}") == {"folder": str(tmp_path / "a"), "delay_ms": 3.0}
    assert given({"deepfilternet": "x.tar.gz"}) == {"deepfilternet": str(tmp_path / "x.tar.gz")}
    assert given("deepfilternet") == {"deepfilternet": "bundled"}
    command = given({"command": "./tool -o {output} 'a b' {input}"})["command"]
    assert shlex.split(command) == [str(tmp_path / "tool"), "-o", "{output}", "a b", "{input}"]
    assert given("saved") == str(tmp_path / "saved")
    assert given("fastenhancer-b") == "fastenhancer-b"
    assert given("larger") == "larger"
    with pytest.raises(UserError, match=r"none\.yaml does not exist"):
        teacher_named("none.yaml")


def test_a_folder_of_cleaned_files_cannot_hear_new_mixtures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="knows its own files alone"):
        choose_networks("convtasnet-tiny", TeacherFrom(folder=tmp_path))


def test_students_of_other_packages_are_named_as_recipes_name_them() -> None:
    assert student_named("fastenhancer-t") == "fastenhancer-t"
    assert student_named("their.networks.Net") == {"class": "their.networks.Net"}
    assert student_named("{class: GruMask, units: 8}") == {"class": "GruMask", "units": 8}
    assert student_named("runs/x.y/student") == "runs/x.y/student"
    with pytest.raises(UserError, match="not readable YAML"):
        student_named("{")


def test_a_teacher_that_takes_clip_by_clip_is_timed_so(late: Path) -> None:
    with trusting_code():
        teacher = open_teacher(str(late), 16_000)
    assert 0 < teaching_seconds(teacher, "cpu", 0.05, 16_000) < 1


def test_a_class_of_another_package_is_scored_too(
    tmp_path: Path, late: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.data.sounds import pairs

    pairs(tmp_path / "set", count=2, seconds=0.5)
    with trusting_code():
        scores = evaluation.evaluate("sedistill_example.teachers.SpectralGate", tmp_path / "set", ["si_sdr"])
        assert np.isfinite(scores.mean("sedistill_example.teachers.SpectralGate", "si_sdr"))
        written = evaluation.evaluate_models(
            ["sedistill_example.teachers.SpectralGate"], [tmp_path / "set"], tmp_path / "scores", ["si_sdr"]
        )["set"]
        one = ["sedistill_example.teachers.SpectralGate"]
        assert evaluation.is_current(written, FixedSet(tmp_path / "set"), ["si_sdr"], one)
        assert not evaluation.is_current(written, FixedSet(tmp_path / "set"), ["si_sdr"], ["fastenhancer-t"])
