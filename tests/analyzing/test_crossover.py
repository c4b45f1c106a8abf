"""The figure of the crossover over time: its lines are the adapter's, of a clip or a network's output."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from typer.testing import CliRunner

from sedistill.analyzing import crossover, draw_crossover
from sedistill.audio.files import read_mono
from sedistill.audio.spectrum import Stft
from sedistill.cli import app
from sedistill.common.errors import UserError
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, save_model

RATE = 16_000


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A tone at 1 kHz in quiet noise, stereo, at 48 kHz."""
    random = np.random.default_rng(0)
    time = np.arange(48_000) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * 1000 * time)
    samples = np.stack([tone, tone], axis=1) + 1e-4 * random.standard_normal((48_000, 2))
    sf.write(tmp_path / "tone.wav", samples, 48_000)
    return tmp_path / "tone.wav"


def test_a_tone_parts_the_bands_below_its_bin(clip: Path, tmp_path: Path) -> None:
    found = draw_crossover(clip, tmp_path / "figure.svg", min_bin=8)
    assert found.bin_hz == 31.25
    # 1 kHz is bin 32; its window's main lobe begins at bin 31, so the steepest rise is from 30 to 31.
    inner = slice(5, -5)
    assert set(found.bins["ascending"][inner].tolist()) == {30}
    text = "".join(ElementTree.parse(tmp_path / "figure.svg").getroot().itertext())
    assert "tone.wav" in text
    assert "ascending scan, as printed" in text
    assert "the low band ends at 969 Hz in the median" in found.text()


def test_the_network_s_output_is_looked_at(clip: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tiny = {"preset": "convtasnet-tiny", "filters": 16, "blocks": 2, "repeats": 1}
    save_model(build_model(tiny), tmp_path / "model")
    found = draw_crossover(clip, tmp_path / "figure.svg", model=tmp_path / "model", start=0.25, seconds=0.5)
    network = load_model(tmp_path / "model")
    with torch.no_grad():
        output = network(torch.from_numpy(read_mono(clip, RATE, 12_000, 24_000))[None])
    expected = FrequencyAdapter(scan="descending")(Stft()(output).abs())[0]
    assert np.mean(found.bins["descending"] == expected.numpy()) > 0.95  # but for rounding


def test_the_command_and_its_refusals(clip: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["crossover", str(clip), "-o", str(tmp_path / "a.svg"), "--seconds", "0.5"]
    )
    assert told.exit_code == 0
    assert "descending scan: the low band ends at" in told.output
    for extra, words in (
        ({"start": 2.0}, "lasts 1.00 s, so nothing of it is at --start 2"),
        ({"output": tmp_path / "a.png"}, "ends in .svg"),
        ({"output": tmp_path / "a.svg"}, "exists already"),
        ({"clip": tmp_path / "none.wav"}, "none.wav"),
    ):
        given = {"clip": clip, "output": tmp_path / "b.svg", **extra}
        with pytest.raises(UserError, match=words):
            draw_crossover(**given)
    assert not (tmp_path / "b.svg").exists()


def test_what_appears_meanwhile_at_the_output_stays(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "figure.svg"

    def drawn_too_late(_: object) -> str:
        output.write_text("of another command")
        return "<svg/>"

    monkeypatch.setattr(crossover, "crossover_svg", drawn_too_late)
    with pytest.raises(UserError, match="appeared while the command was at work"):
        draw_crossover(clip, output)
    assert output.read_text() == "of another command"
