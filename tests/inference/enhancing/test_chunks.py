"""Long sound goes through in overlapping chunks, and nobody hears where."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sedistill.audio.files import probe
from sedistill.inference.enhancing import arrays, enhance, enhance_files
from sedistill.inference.enhancing.chunks import in_chunks, of_length
from tests.inference.enhancing.conftest import RATE, Unchanged, music


class ShortMemory(Unchanged):
    """Every sample together with those 200 ms before and after it."""

    def forward(self, noisy: Tensor) -> Tensor:
        super().forward(noisy)
        around = nn.functional.pad(noisy, (3200, 3200))
        return 0.5 * noisy - 0.3 * around[:, :-6400] + 0.2 * around[:, 6400:]


@pytest.mark.parametrize("samples", [160_001, 304_000, 304_001, 450_000, 500_000])
def test_chunks_sound_like_the_whole(samples: int) -> None:
    network = ShortMemory()
    waveform = music(samples)[:, 0]
    whole = enhance(network, waveform, RATE, chunk_seconds=None)
    assert network.lengths == [samples]
    np.testing.assert_allclose(enhance(network, waveform, RATE), whole, atol=2e-6)


def test_no_chunk_is_longer_than_ten_seconds_nor_short_at_the_end() -> None:
    network = Unchanged()
    enhance(network, np.zeros(47 * RATE, np.float32), RATE)
    assert set(network.lengths) == {10 * RATE}
    short = Unchanged()
    enhance(short, np.zeros(4 * RATE, np.float32), RATE)
    assert short.lengths == [4 * RATE]


def test_a_level_that_differs_between_chunks_never_jumps() -> None:
    class Normalizes(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            return noisy / noisy.square().mean().sqrt()

    waveform = np.linspace(0.1, 1.0, 40 * RATE, dtype=np.float32)  # slow: any step is of the chunks' making
    steps = np.abs(np.diff(enhance(Normalizes(), waveform, RATE)))
    assert steps.max() < 2e-4  # a plain join would step by 0.2


@given(
    frames=st.integers(0, 300),
    block=st.integers(1, 90),
    chunk=st.integers(2, 60),
    overlap_share=st.floats(0, 0.5),
)
def test_chunks_of_any_size_give_back_what_is_not_changed(
    frames: int, block: int, chunk: int, overlap_share: float
) -> None:
    overlap = int(overlap_share * chunk)
    signal = np.random.default_rng(frames).standard_normal((frames, 2)).astype(np.float32)
    blocks = (signal[start : start + block] for start in range(0, frames, block))
    joined = list(in_chunks(blocks, lambda piece: piece, chunk, overlap))
    np.testing.assert_array_equal(np.concatenate([signal[:0], *joined]), signal)


@given(lengths=st.lists(st.integers(0, 20), max_size=6), frames=st.integers(0, 60))
def test_streams_get_the_length_asked_for(lengths: list[int], frames: int) -> None:
    blocks = [np.ones((length, 2), np.float32) for length in lengths]
    result = np.concatenate([np.zeros((0, 2)), *of_length(blocks, 2, frames)])
    assert result.shape == (frames, 2)
    assert result.sum() == 2 * min(frames, sum(lengths))


def test_reading_goes_on_in_blocks_of_seconds(tmp_path: Path, unchanged: Unchanged) -> None:
    """Bounded memory: nothing between reading and writing ever sees more than about two chunks."""
    soundfile.write(tmp_path / "long.wav", np.zeros(100 * RATE, np.float32), RATE)
    sizes: list[int] = []
    apply = arrays._apply

    def noted(network: nn.Module, piece: np.ndarray, gain: float, name: str) -> np.ndarray:
        sizes.append(len(piece))
        return apply(network, piece, gain, name)

    arrays._apply, restore = noted, arrays._apply
    try:
        enhance_files("model", [tmp_path / "long.wav"], tmp_path / "out.wav")
    finally:
        arrays._apply = restore
    assert max(sizes) == 10 * RATE
    assert probe(tmp_path / "out.wav").frames == 100 * RATE
