"""The networks that come with the package: found by name wherever a saved model may stand, and sound."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import sedistill
from sedistill.common.errors import UserError
from sedistill.models import ready_made
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, model_hash, read_card, save_model
from sedistill.training.inputs import build_student, is_saved_model

SHIPPED = ready_made.ready_made_names()
HASHES = ready_made.FOLDER / "SHA256SUMS"


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a tiny ready-made network called "tiny", and an empty folder to stand in."""
    folder = tmp_path / "package"
    torch.manual_seed(0)
    network = build_model({"class": "FastEnhancer", "channels": 4, "units": 4, "bands": 4, "blocks": 1})
    save_model(network, folder / "tiny", {"output_gain": 2.0})
    monkeypatch.setattr(ready_made, "FOLDER", folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder / "tiny"


def test_a_name_stands_for_the_folder(one: Path) -> None:
    for name in ("tiny", "ready-made:tiny"):
        assert ready_made.saved_folder(name) == one
        assert load_model(name).output_gain == 2.0
        assert read_card(name)["class"] == "FastEnhancer"
        assert model_hash(name) == model_hash(one)
    noisy = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 0.1
    by_name, by_place = (sedistill.enhance(model, noisy, 16_000) for model in ("tiny", one))
    np.testing.assert_array_equal(by_name, by_place)


def test_a_folder_of_that_name_wins(one: Path) -> None:
    save_model(load_model(one), Path("tiny"), {"output_gain": 3.0})
    assert load_model("tiny").output_gain == 3.0
    assert load_model("ready-made:tiny").output_gain == 2.0


def test_a_students_plain_name_is_a_preset_and_the_prefix_goes_on_from_weights(one: Path) -> None:
    assert not is_saved_model("tiny")
    assert is_saved_model("ready-made:tiny")
    assert build_student("ready-made:tiny").output_gain == 2.0


def test_what_is_not_there_is_told_in_one_sentence(one: Path) -> None:
    with pytest.raises(UserError, match="no ready-made network 'tony'; did you mean tiny"):
        load_model("ready-made:tony")
    with pytest.raises(UserError, match=r"^tony is not a saved model: nothing is there. Ready-made are tiny"):
        load_model("tony")
    Path("run/student").mkdir(parents=True)
    Path("run/student/card.yaml").touch()
    with pytest.raises(UserError, match="run is a run; its network is run/student"):
        load_model("run")


def test_files_to_enhance_are_no_networks(one: Path) -> None:
    from sedistill.inference.enhancing import enhance_files

    for named, sentence in (
        ("tiny", r"tiny is a network, not audio; name it as --model tiny\."),
        (one, r"name it as --model .*tiny"),
        ("gtcrn", r"gtcrn is a network without weights, not audio: train it first .* --model: tiny"),
    ):
        with pytest.raises(UserError, match=sentence):
            enhance_files("tiny", [named, "x.wav"], "out")


@pytest.mark.skipif(not SHIPPED, reason="this tree holds no ready-made weights")
def test_both_are_there_small_and_as_they_were_committed() -> None:
    assert SHIPPED == ["fastenhancer-t", "fastenhancer-b"]
    files = sorted(path for path in ready_made.FOLDER.rglob("*") if path.suffix in (".safetensors", ".yaml"))
    assert sum(path.stat().st_size for path in files) < 600_000
    lines = [line.split("  ") for line in HASHES.read_text(encoding="utf-8").splitlines()]
    found = {
        str(path.relative_to(ready_made.FOLDER)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    assert {name: digest for digest, name in lines} == found


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_say_what_one_has_to_know(name: str) -> None:
    card = yaml.safe_load((ready_made.FOLDER / name / "card.yaml").read_text(encoding="utf-8"))
    assert card["preset"] == name
    assert card["causal"] is True
    assert card["latency_ms"] == 32.0
    assert card["licences"]["weights"] == "MIT"
    assert "SOURCES.md" in card["licences"]["data"]
    assert (ready_made.FOLDER / "SOURCES.md").is_file()
    assert {"recipe", "seed", "steps", "data_hash"} <= card["training"].keys()
    for scores in card["metrics"]["scores"].values():
        for metric in ("pesq_wb", "stoi", "si_sdr"):
            assert scores[metric]["enhanced"] >= scores[metric]["noisy"]
        assert scores["noise_only_db"]["enhanced"] < -20


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, np.ndarray]]:
    """Synthetic sentences and noise (noisy, clean), 16 kHz, at 5 dB."""
    pytest.importorskip("espeakng_loader")
    from sedistill.audio import levels
    from sedistill.audio.combine import mix_at_snr
    from sedistill.workflows.demo.noises import noise
    from sedistill.workflows.demo.speech import Utterance, speak

    sentence = "We counted forty geese on the frozen lake this morning."
    voices = ("en+m3", "en+f2", "en+m7", "en+f4")
    spoken = speak([Utterance(sentence, voice, 160, 50) for voice in voices], seed=0)
    made = []
    for number, (speech, kind) in enumerate(zip(spoken, ("pink", "fan", "rain", "engine"), strict=True)):
        clean = speech.astype(np.float32) / 32768
        unwanted = noise(kind, np.random.default_rng(number), len(clean), 16_000)
        known = (levels.active_level_db(clean, 16_000), levels.active_level_db(unwanted, 16_000))
        noisy, clean, _ = mix_at_snr(clean, unwanted, 5.0, -26.0, *known)
        made.append((noisy, clean))
    return made


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_better_than_doing_nothing(name: str, clips: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    from sedistill.evaluation.metrics import METRICS

    gains = {metric: [] for metric in ("pesq_wb", "si_sdr", "stoi")}
    for noisy, clean in clips:
        enhanced = sedistill.enhance(name, noisy, 16_000)
        for metric, values in gains.items():
            values.append(
                METRICS[metric].value(clean, enhanced, 16_000) - METRICS[metric].value(clean, noisy, 16_000)
            )
    means = {metric: float(np.mean(values)) for metric, values in gains.items()}
    assert means["pesq_wb"] > 0.15
    assert means["si_sdr"] > 2.0
    assert means["stoi"] > -0.06  # a synthesizer is no voice that they learnt from
