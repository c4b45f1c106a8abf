"""From one sample rate to another with soxr at its VHQ setting, block by block. No delay, linear phase."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

RESAMPLER = "soxr VHQ"
BLOCK_FRAMES = 65_536  # of what comes in blocks: some seconds, few enough samples to stay in a cache


def resample(samples: NDArray, from_rate: int, to_rate: int) -> NDArray:
    """Convert (frames, ...) between rates in Hz along axis 0.

    The length becomes round(frames * to_rate / from_rate), at least 1 for a non-empty input.

    >>> resample(np.zeros((48_000, 2)), 48_000, 16_000).shape
    (16000, 2)
    """
    if from_rate == to_rate or len(samples) == 0:
        return samples
    blocks = (samples[first : first + BLOCK_FRAMES] for first in range(0, len(samples), BLOCK_FRAMES))
    return np.concatenate(list(resampled(blocks, from_rate, to_rate)))


def resampled(
    blocks: Iterable[NDArray], from_rate: int, to_rate: int, exact_length: bool = True
) -> Iterator[NDArray]:
    """Blocks (frames,) or (frames, channels) of one signal at another rate; joined they are `resample` of it.

    Where the blocks were cut changes no bit. Without `exact_length` the end is as soxr makes it, a sample
    longer or shorter at times: for signals that go back to their rate, and are cut to their length there.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    given = made = 0
    for block in blocks:
        if stream is None:
            channels = 1 if block.ndim == 1 else block.shape[1]
            stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype=block.dtype, quality="VHQ")
        converted = stream.resample_chunk(np.ascontiguousarray(block))
        given, made = given + len(block), made + len(converted)
        yield converted
    if stream is not None and given:
        end = stream.resample_chunk(np.ascontiguousarray(block[:0]), last=True)
        wanted = max(1, round(given * to_rate / from_rate))
        yield _of_length(end, wanted - made) if exact_length else end


def _of_length(samples: NDArray, wanted: int) -> NDArray:
    """soxr's end may be a sample longer, or shorter for very short inputs."""
    missing = np.zeros((max(wanted - len(samples), 0), *samples.shape[1:]), samples.dtype)
    return np.concatenate([samples[:wanted], missing])
