"""Advice about teachers whose faults are known, because they were made."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

import sedistill
from sedistill.cli import app
from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.run import train
from sedistill.workflows.advising.command import Advice, advise

RATE, SAMPLES, CLIPS = 16_000, 8_000, 8


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bursts as broad as speech, in two kinds of noise that the files' names do not tell."""
    folder = tmp_path_factory.mktemp("advice") / "valid"
    random = np.random.default_rng(3)
    for index in range(CLIPS):
        clean = 0.1 * np.repeat(random.uniform(0, 1, SAMPLES // 400), 400) ** 2
        clean = clean * random.standard_normal(SAMPLES)
        noisy = clean + (0.03 if index % 2 else 0.005) * random.standard_normal(SAMPLES)
        for side, sound in (("clean", clean), ("noisy", noisy)):
            path = folder / side / f"{index:03d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, sound.astype(np.float32), RATE, subtype="FLOAT")
    return folder


def cleaned(pairs: Path, folder: Path, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> str:
    """A teacher that is files: of each clip what `change` makes of (noisy, clean)."""
    clips = FixedSet(pairs)
    folder.mkdir()
    for index in range(len(clips)):
        sf.write(folder / f"{index:03d}.wav", change(*clips[index]), RATE, subtype="FLOAT")
    return f"{{folder: {folder}}}"


def in_band(wave: np.ndarray, low: float, high: float) -> np.ndarray:
    spectrum = np.fft.rfft(wave)
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return np.fft.irfft(np.where((hertz >= low) & (hertz < high), spectrum, 0), n=len(wave))


def worse_in_one_band(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Half of the noise is taken away, but between 1,250 and 2,500 Hz it is trebled."""
    noise = noisy - clean
    return clean + 0.5 * noise + 2.5 * in_band(noise, 1_250, 2_500)


@pytest.fixture
def one_bad_band(pairs: Path, tmp_path: Path) -> Advice:
    return advise(cleaned(pairs, tmp_path / "cleaned", worse_in_one_band), "convtasnet-tiny", pairs)


def test_the_band_in_which_a_teacher_is_bad_is_named(one_bad_band: Advice) -> None:
    errors = {row.name: row.error_db["noisy"] for row in one_bad_band.nearness.bands}
    nearer = {row.name: row.nearer["noisy"] for row in one_bad_band.nearness.bands}
    assert list(errors) == [
        "0 to 625 Hz",
        "625 to 1,250 Hz",
        "1,250 to 2,500 Hz",
        "2,500 to 5,000 Hz",
        "5,000 to 8,000 Hz",
    ]
    assert [name for name, error in errors.items() if error > 0] == ["1,250 to 2,500 Hz"]
    assert [name for name, share in nearer.items() if share < 0.5] == ["1,250 to 2,500 Hz"]
    objective = one_bad_band.choice.objective
    assert (objective["loss"], objective["gate"]) == ("complex_l2", "teacher_over_noisy")
    assert "behind the noisy input in" in one_bad_band.choice.reasons["gate"]
    text = one_bad_band.text()
    assert max(map(len, text.splitlines())) <= 80
    assert "which has learnt nothing yet" in text
    assert " ".join(text.split()).count("sign as the clean speech") == 1
    # SNRs of plain pairs are measured.
    assert sum(row.clips for row in one_bad_band.nearness.snrs) == CLIPS
    assert not one_bad_band.nearness.noises


def test_a_teacher_that_is_better_everywhere_needs_no_gate(pairs: Path, tmp_path: Path) -> None:
    found = advise(
        cleaned(pairs, tmp_path / "cleaned", lambda noisy, clean: -(clean + 0.1 * (noisy - clean))),
        "convtasnet-tiny", pairs, clips=4,
    )  # fmt: skip
    facts = dict(found.teacher)
    assert facts["sign"] == "inverted; turned over"
    assert facts["delay"].startswith("none")
    assert facts["bandwidth"].startswith("all of the data's")
    assert found.nearness.all.nearer["noisy"] > 0.95
    assert "gate" not in found.choice.objective
    assert found.scores["teacher"]["si_sdr"] > found.scores["noisy"]["si_sdr"] + 15


def test_the_weight_brings_the_pull_to_half_of_the_own_loss(one_bad_band: Advice) -> None:
    choice = one_bad_band.choice
    wanted = 0.5 if choice.pull.cosine >= 0 else 0.25
    assert choice.objective["weight"] * choice.pull.ratio == pytest.approx(wanted, rel=0.06)


def test_a_student_that_has_learnt_is_held_against_the_teacher(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same untrained network, saved, counts as it is; the recipe goes on from it as it was written."""
    torch.manual_seed(0)
    save_model(build_model("convtasnet-tiny"), tmp_path / "student")
    shutil.copytree(pairs, tmp_path / "train")
    shutil.copytree(pairs, tmp_path / "valid")
    save_model(build_model("convtasnet-tiny"), tmp_path / "teacher")
    recipe = tmp_path / "advised.yaml"
    line = ["advise", "--teacher", str(tmp_path / "teacher"), "--student", str(tmp_path / "student"),
            "--on", str(tmp_path / "valid"), "--clips", "4", "-o", str(recipe)]  # fmt: skip
    app([*line, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert set(told["all"]["error_db"]) == {"noisy", "student"}
    assert set(told["scores"]) == {"noisy", "student", "teacher"}
    assert any("SI-SDR the teacher is below the noisy input" in note for note in told["notes"])
    assert told["recipe"]["data"]["train"] == str(tmp_path / "train")
    with pytest.raises(UserError, match="exists already"):
        advise("fastenhancer-t", "fastenhancer-t", tmp_path / "valid", output=recipe)
    student = train(recipe, ["optimiser.max_steps=1", "optimiser.batch_size=4"], output=tmp_path / "run")
    assert (student / "card.yaml").exists()
    assert sedistill.advise is advise


def test_the_recipe_of_a_new_student_is_taken_as_it_is(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    advise(
        cleaned(pairs, tmp_path / "cleaned", worse_in_one_band), "convtasnet-tiny", pairs, clips=2,
        output=tmp_path / "advised.yaml",
    )  # fmt: skip
    train(tmp_path / "advised.yaml", output=tmp_path / "run", plan_only=True)
    assert "teacher_over_noisy" in capsys.readouterr().out


def test_what_cannot_be_advised_on_is_refused(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    save_model(build_model({"preset": "convtasnet-tiny", "sample_rate": 8_000}), tmp_path / "8k")
    with pytest.raises(UserError, match="has 16000 Hz but the student works at 8000 Hz"):
        advise("fastenhancer-t", str(tmp_path / "8k"), pairs)
    with pytest.raises(UserError, match="there is no preset 'fastenhancer-q'"):
        advise("fastenhancer-t", "fastenhancer-q", pairs)
    with pytest.raises(UserError, match="noisy/ and clean/"):
        advise("fastenhancer-t", "fastenhancer-t", tmp_path)
    a_file = pairs / "noisy/000.wav"
    with pytest.raises(
        UserError, match=r"000\.wav is a file, not a folder; give a set, a folder with noisy/"
    ):
        advise("fastenhancer-t", "fastenhancer-t", a_file)
    capsys.readouterr()
    with pytest.raises(UserError, match="nowhere is not a saved model"):
        advise("nowhere", "fastenhancer-t", pairs)
    assert "checking pairs" not in "".join(capsys.readouterr())
    with pytest.raises(UserError, match="does not exist"):
        advise("fastenhancer-t", "convtasnet-tiny", pairs, train=tmp_path / "none", clips=1)
