"""A program over files, and a folder of files that are cleaned already, as teachers."""

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from sedistill.common.errors import UserError
from sedistill.common.extensions import trusting_code
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.command import evaluate
from sedistill.inference.exporting.command import export
from sedistill.models.saving import load_model
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import open_teacher
from sedistill.training.run import train
from tests.teachers.test_foreign import write_speech

RATE = 16_000
HALF = """
import sys, soundfile as sf
sound, rate = sf.read(sys.argv[1])
if abs(sound).max() > 0.9:
    sys.exit("too loud for me")
sf.write(sys.argv[2], sound / 2, rate)
"""


@pytest.fixture
def clips(tmp_path: Path) -> FixedSet:
    return write_speech(tmp_path / "set")


@pytest.fixture
def half(tmp_path: Path) -> str:
    (tmp_path / "half.py").write_text(HALF)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'half.py'))} {{input}}"


def enhanced(clips: FixedSet, folder: Path, change: Callable, suffix: str = ".flac") -> Path:
    """The noisy files of a set, changed, as some service would give them back."""
    folder.mkdir()
    for index in range(len(clips)):
        sf.write(folder / f"{clips.clip_id(index)}{suffix}", change(clips[index][0]), clips.sample_rate)
    return folder


def test_a_program_is_run_for_each_clip(clips: FixedSet, half: str, tmp_path: Path) -> None:
    with trusting_code():
        teacher = open_teacher({"command": f"{half} {{output_file}}"}, RATE, on=clips)
    assert teacher.level_factor == pytest.approx(2, rel=0.03)
    kept = OutputCache(tmp_path / "kept", clips, teacher).open()
    np.testing.assert_allclose(kept[1], clips[1][0] / 2, atol=2e-3)
    with trusting_code():
        into_folder = open_teacher({"command": f"{half} {{output}}/any-name.wav"}, RATE)
    np.testing.assert_allclose(into_folder.on_clip(clips, 1), kept[1], atol=1e-3)


def test_a_program_is_not_run_unasked(clips: FixedSet, half: str) -> None:
    with pytest.raises(UserError, match="--trust-code"):
        open_teacher({"command": f"{half} {{output_file}}"}, RATE)


def test_a_program_that_fails_on_one_file_names_it_and_why(clips: FixedSet, half: str) -> None:
    path = clips.paths(2)[0]
    sound, rate = sf.read(path)
    sf.write(path, np.sign(sound) * 0.99, rate, subtype="FLOAT")
    with trusting_code(), pytest.raises(UserError, match=r"002\.wav: .* exit status 1: too loud for me"):
        open_teacher({"command": f"{half} {{output_file}}"}, RATE, on=FixedSet(clips.folder))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("true {input} {output}", "left no audio files"),
        ("no-such-program {input} {output}", "cannot be started"),
        ("true {input}", "lacks {input}, or {output}"),
    ],
)
def test_programs_that_give_nothing_are_refused(clips: FixedSet, command: str, words: str) -> None:
    with trusting_code(), pytest.raises(UserError, match=words):
        open_teacher({"command": command}, RATE).on_clip(clips, 0)


def test_a_program_that_changes_the_rate_is_refused(clips: FixedSet, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(HALF.replace("sound / 2, rate", "sound[::2], rate // 2"))
    program = f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'other.py'))}"
    with trusting_code(), pytest.raises(UserError, match="gives 8000 Hz for 16000 Hz; state rate: 8000"):
        open_teacher({"command": f"{program} {{input}} {{output_file}}"}, RATE).on_clip(clips, 0)


@pytest.mark.parametrize("late", [80, -80])
def test_a_folder_is_matched_by_the_rule_for_partners(clips: FixedSet, tmp_path: Path, late: int) -> None:
    def shifted(noisy: np.ndarray) -> np.ndarray:
        return np.pad(noisy, (max(late, 0), max(-late, 0)))[max(-late, 0) :][: len(noisy)]

    folder = enhanced(clips, tmp_path / "cleaned", lambda noisy: 0.5 * shifted(noisy))
    teacher = open_teacher({"folder": str(folder)}, RATE, on=clips)
    assert teacher.measured is not None
    assert (teacher.measured.delay, teacher.measured.clear) == (late, 4)
    inside = slice(80, -80)
    np.testing.assert_allclose(
        teacher.on_clip(clips, 3)[inside], teacher.level_factor * 0.5 * clips[3][0][inside], atol=1e-3
    )


def test_a_folder_that_lacks_files_is_refused(clips: FixedSet, tmp_path: Path) -> None:
    folder = enhanced(clips, tmp_path / "cleaned", lambda noisy: noisy)
    (folder / "001.flac").unlink()
    (folder / "003.flac").unlink()
    with pytest.raises(UserError, match=r"lacks 2 of the 4 files of .*, the first 001\.wav"):
        open_teacher({"folder": str(folder)}, RATE, on=clips)
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="does not exist"):
        open_teacher({"folder": str(folder)}, RATE)


def test_a_folder_of_another_length_is_refused(clips: FixedSet, tmp_path: Path) -> None:
    folder = enhanced(clips, tmp_path / "cleaned", lambda noisy: noisy[: len(noisy) // 2])
    with pytest.raises(UserError, match="gives 8000 samples for 16000"):
        open_teacher({"folder": str(folder)}, RATE, on=clips)


def test_a_folder_is_scored_beside_models(clips: FixedSet, tmp_path: Path) -> None:
    folder = enhanced(clips, tmp_path / "cleaned", lambda noisy: 0.5 * noisy)
    scores = evaluate({"folder": str(folder)}, clips.folder, metrics=["si_sdr", "noise_only_db"])
    label = next(model for model in scores.models if model != "noisy")
    assert scores.mean(label, "si_sdr") == pytest.approx(scores.mean("noisy", "si_sdr"), abs=0.1)
    reasons = {row.reasons.get("noise_only_db", "") for row in scores.clips if row.model == label}
    assert all("its own files alone" in reason for reason in reasons)


@pytest.mark.parametrize("kind", ["folder", "onnx"])
def test_a_student_learns_from_elsewhere_what_it_learns_from_the_model(
    world: Path, write_recipe: Callable[..., Path], capsys: pytest.CaptureFixture, kind: str
) -> None:
    """From files that the model cleaned, with kept outputs, and live from its export, within rounding."""
    clips, place = FixedSet(world / "train"), world / "elsewhere"
    if kind == "onnx":
        pytest.importorskip("onnxscript")
        place = world / "elsewhere.onnx"
        export(world / "teacher", place, form="clip", correct_level=False)
    else:
        place.mkdir()
        model = open_teacher(world / "teacher", RATE, correct_level=False)
        for index in range(len(clips)):
            sf.write(place / f"{index:03d}.wav", model.on_clip(clips, index), RATE, subtype="FLOAT")
    keys: dict[str, Any] = {
        "objectives": [{"loss": "l2"}],
        "teacher_use": {"correct_level": False, "cache": "never" if kind == "onnx" else "auto"},
        "optimiser": {"batch_size": 4, "max_epochs": 1},
    }
    elsewhere = {kind: str(place), "delay_ms": 0}
    of_model, of_other = (
        load_model(train(write_recipe(name, teacher=teacher, **keys), output=world / name)).state_dict()
        for name, teacher in (("model", str(world / "teacher")), ("other", elsewhere))
    )
    told = capsys.readouterr().out
    assert "as stated" in told
    assert "worse than the noisy input" in told  # an untrained network
    for name, weight in of_model.items():
        torch.testing.assert_close(weight, of_other[name], atol=1e-4, rtol=1e-3)


def test_files_teach_on_fixed_sets_alone(world: Path, write_recipe: Callable[..., Path]) -> None:
    (world / "cleaned").mkdir()
    shutil.copytree(world / "train" / "noisy", world / "cleaned", dirs_exist_ok=True)
    recipe = write_recipe(
        "run", teacher={"folder": str(world / "cleaned")}, objectives=[{"loss": "l2"}],
        teacher_use={"cache": "never"},
    )  # fmt: skip
    with pytest.raises(UserError, match="for clips that come again"):
        train(recipe, output=world / "run")
