"""The band above the network's: back as it was where nothing was done below, lowered as what was."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sedistill.audio.files import read
from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance, enhance_files
from sedistill.inference.enhancing.whole_band import FLOOR, WholeBand
from tests.inference.enhancing.conftest import RATE, Unchanged


class Scaled(Unchanged):
    """Multiplies, by a factor that grows with time if told so."""

    def __init__(self, factor: float, per_second: float = 0.0) -> None:
        super().__init__()
        self.factor, self.per_second = factor, per_second

    def forward(self, noisy: Tensor) -> Tensor:
        time = noisy.new_tensor(np.arange(noisy.shape[1]) / RATE)
        return (self.factor + self.per_second * time) * noisy


def hiss(rate: int, seconds: float = 1.5, channels: int = 2) -> np.ndarray:
    random = np.random.default_rng(0)
    return (0.05 * random.standard_normal((channels, round(rate * seconds)))).astype(np.float32)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("samples", [0, 1, 2, 500, 1500, 1537, 30_000])
def test_a_network_that_changes_nothing_gives_the_input_back(rate: int, samples: int) -> None:
    sound = hiss(rate)[:, :samples]
    np.testing.assert_allclose(enhance(Unchanged(), sound, rate, whole_band=True), sound, atol=1e-6)


def test_chunks_join_without_a_trace() -> None:
    sound = hiss(48_000, 21)
    np.testing.assert_allclose(enhance(Unchanged(), sound, 48_000, whole_band=True), sound, atol=1e-6)


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5])
def test_all_is_lowered_by_what_the_network_took(factor: float) -> None:
    sound = hiss(48_000)
    got = enhance(Scaled(factor), sound, 48_000, whole_band=True)
    np.testing.assert_allclose(got, factor * sound, atol=1e-5)


def test_nothing_above_is_made_louder() -> None:
    sound = hiss(48_000)
    got, low = (enhance(Scaled(3), sound, 48_000, whole_band=whole) for whole in (True, False))
    np.testing.assert_allclose(got - low, sound - low / 3, atol=1e-6)


def test_the_gain_is_that_of_a_slow_version() -> None:
    rate, sound = 48_000, hiss(48_000, 0.7, 1)
    network = Scaled(0.2, 1.0)
    enhanced, low = enhance(network, sound, rate)[0], enhance(Unchanged(), sound, rate)[0]
    hop = round(0.016 * rate)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2 * hop) / (2 * hop))
    gains = []
    for k in range(len(low) // hop + 2):
        energies = []
        for signal in (enhanced, low):
            padded = np.pad(signal.astype(float), (hop, 3 * hop))
            spectrum = np.fft.fft(window * padded[k * hop : (k + 2) * hop])
            hz = np.arange(2 * hop) * rate / (2 * hop)
            energies.append(sum(abs(spectrum[i]) ** 2 for i in range(hop) if 4000 <= hz[i] < 8000))
        gains.append(min(1.0, ((energies[0] + FLOOR) / (energies[1] + FLOOR)) ** 0.5))
    gain = np.interp(np.arange(len(low)), hop * np.arange(len(gains)), gains)
    got = enhance(network, sound, rate, whole_band=True)[0]
    np.testing.assert_allclose(got, enhanced + gain * (sound[0] - low), atol=1e-6)
    assert gain.max() > 1.5 * gain.min()  # it does change


@given(cuts=st.lists(st.integers(0, 900), max_size=8), length=st.integers(0, 900))
def test_where_blocks_are_cut_changes_nothing(cuts: list[int], length: int) -> None:
    random = np.random.default_rng(length)
    noisy = random.standard_normal((length, 2)).astype(np.float32)
    pairs = random.standard_normal((length, 4)).astype(np.float32)

    def joined(places: list[int]) -> np.ndarray:
        whole = WholeBand(4000, 1600)
        list(whole.hearing([noisy]))
        return np.concatenate([noisy[:0], *whole.filled(np.split(pairs, sorted(places)))])

    np.testing.assert_allclose(joined([min(cut, length) for cut in cuts]), joined([]), atol=1e-5)
    assert joined([]).shape == (length, 2)


def test_with_a_strength_as_much_is_left_above() -> None:
    sound = hiss(48_000)
    got = enhance(Scaled(0.0), sound, 48_000, whole_band=True, strength_db=20)
    np.testing.assert_allclose(got, 0.1 * sound, atol=1e-5)
    np.testing.assert_array_equal(enhance(Scaled(0.0), sound, 48_000, whole_band=True, strength_db=0), sound)


def test_files_have_it_and_it_is_said(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "in.wav", hiss(48_000).T, 48_000, subtype="PCM_24")
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav", whole_band=True)
    assert (
        "files at 48000 Hz what lies above 8000 Hz is lowered as the octave below" in capsys.readouterr().out
    )
    np.testing.assert_allclose(read(tmp_path / "out.wav")[0], read(tmp_path / "in.wav")[0], atol=1e-6)
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "low.wav")
    assert "nothing above 8000 Hz is kept" in capsys.readouterr().out


def test_at_the_networks_rate_there_is_nothing_above() -> None:
    sound = hiss(RATE)
    network: nn.Module = Scaled(0.3)
    plain, whole = (enhance(network, sound, RATE, whole_band=one) for one in (False, True))
    np.testing.assert_array_equal(plain, whole)


def test_it_takes_the_level_correction() -> None:
    with pytest.raises(UserError, match="leave the level correction on"):
        enhance(Unchanged(), hiss(48_000), 48_000, correct_level=False, whole_band=True)
