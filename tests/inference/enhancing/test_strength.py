"""How much noise may be taken away at most: nothing at 0 dB, more with more, everything without a limit."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sedistill
from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance_files
from sedistill.models.base import SpeechEnhancer
from sedistill.models.saving import load_model
from tests.inference.enhancing.conftest import RATE, Unchanged, music

RATES = (16_000, 44_100)


@pytest.fixture(scope="module")
def network() -> SpeechEnhancer:
    return load_model("fastenhancer-t")


def noisy(rate: int) -> np.ndarray:
    """Two channels of a second and a half."""
    sound = music(3 * rate // 2, 2, rate).T
    return sound + 0.05 * np.random.default_rng(3).standard_normal(sound.shape).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_strength_is_the_input_bit_for_bit(network: SpeechEnhancer, dtype: type) -> None:
    sound = noisy(44_100).astype(dtype) / 3
    got = sedistill.enhance(network, sound, 44_100, strength_db=0)
    np.testing.assert_array_equal(got, sound)
    assert got is not sound


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", kind) for kind in ("PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE", "ULAW")]
    + [("a.flac", "PCM_16"), ("a.ogg", "VORBIS")],
)
def test_no_strength_is_the_file(name: str, subtype: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / name, noisy(44_100).T.astype(np.float64) / 3, 44_100, subtype=subtype)
    enhance_files("fastenhancer-t", [tmp_path / name], tmp_path / "out", strength_db=0)
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_no_strength_in_another_format_keeps_the_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noisy(16_000).T, RATE, subtype="PCM_16")
    enhance_files("fastenhancer-t", [tmp_path / "a.wav"], tmp_path / "a.flac", strength_db=0)
    before, after = (soundfile.read(tmp_path / name, dtype="int16")[0] for name in ("a.wav", "a.flac"))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("rate", RATES)
def test_more_strength_comes_nearer_to_no_limit(network: SpeechEnhancer, rate: int) -> None:
    sound = noisy(rate)
    whole = sedistill.enhance(network, sound, rate)
    results = [sedistill.enhance(network, sound, rate, strength_db=db) for db in (0, 3, 6, 12, 24, 100)]
    away = [float(np.abs(result - whole).mean()) for result in results]
    assert all(more < 0.8 * less for less, more in pairwise(away))
    assert np.abs(results[-1] - whole).max() <= 1e-4
    np.testing.assert_array_equal(sedistill.enhance(network, sound, rate, strength_db=float("inf")), whole)


@pytest.mark.parametrize("rate", RATES)
def test_noise_is_lowered_by_what_was_said(rate: int) -> None:
    """A network that takes away all leaves noise that is lower by the strength, and not shifted."""

    class Silent(Unchanged):
        def forward(self, noisy):  # type: ignore[no-untyped-def]
            return 0 * noisy

    sound = np.tile(noisy(rate), 10)  # more than one chunk
    got = sedistill.enhance(Silent(), sound, rate, strength_db=20)
    np.testing.assert_allclose(got, 0.1 * sound, atol=1e-7)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("strength", [0, 10, 100])
def test_a_stream_does_the_same(network: SpeechEnhancer, rate: int, strength: float) -> None:
    sound = noisy(rate)
    wanted = sedistill.enhance(network, sound, rate, strength_db=strength)
    stream = sedistill.Stream(network, rate, strength_db=strength)
    for _ in range(2):  # flushed, it begins anew
        pieces = [stream.process(sound[:, start : start + 700]) for start in range(0, sound.shape[1], 700)]
        got = np.concatenate([*pieces, stream.flush()], axis=1)
        np.testing.assert_allclose(got, wanted, atol=0 if strength == 0 else 1e-5)
    pcm = np.rint(sound * 2**15).astype(np.int16)
    untouched = sedistill.Stream(network, rate, strength_db=0)
    np.testing.assert_array_equal(np.concatenate([untouched.process(pcm), untouched.flush()], axis=1), pcm)


@pytest.mark.parametrize("strength", [-1, float("nan"), "6", True])
def test_strengths_that_mean_nothing(network: SpeechEnhancer, strength: object) -> None:
    with pytest.raises(UserError, match=f"strength_db = {strength!r}: give dB from 0 up"):
        sedistill.enhance(network, noisy(RATE), RATE, strength_db=strength)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="leave the level correction on"):
        sedistill.enhance(network, noisy(RATE), RATE, correct_level=False, strength_db=6)
    with pytest.raises(UserError, match="leave the level correction on"):
        sedistill.Stream(network, correct_level=False, strength_db=6)
