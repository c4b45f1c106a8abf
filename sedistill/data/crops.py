"""Ready pairs as training material: crops of equal length from noisy and clean, or whole clips."""

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedistill.audio import levels
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.mix_sources import Piece
from sedistill.data.randomness import CROPS, philox, stream_of
from sedistill.data.rendering import ATTEMPTS, QUIETEST_SPEECH_DB, around_peak


@dataclass(frozen=True)
class Crop:
    """A crop (T,) of a ready pair, from sample `start` of it on.

    Levels are the pair's own. A pair shorter than the crop begins at `offset`, silence lies around it.
    """

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    pair: int
    start: int
    offset: int = 0


class Pairs:
    """The ready pairs of one split, in the order of their names.

    Raises UserError when there are none, or a clean clip is missing from the manifest.
    """

    def __init__(self, corpus: Corpus) -> None:
        clean, noisy = corpus.kind("clean"), corpus.kind("noisy")
        if not len(noisy):
            raise UserError(f"{corpus.folder}: there are no ready pairs in this split.")
        clean = clean.take(np.array([bool(pair) for pair in clean.texts("pair")], bool))
        self.noisy, self.clean = _by_pair(noisy), _by_pair(clean)
        if self.noisy.texts("pair") != self.clean.texts("pair"):
            raise UserError(f"{corpus.folder}: noisy and clean clips do not match; prepare it again.")
        self.sample_rate, self.stream = corpus.sample_rate, stream_of(CROPS, self.noisy[0].split)
        steps = np.cumsum(self.noisy.frames, dtype=np.float64)
        self.steps = steps / steps[-1]

    def __len__(self) -> int:
        return len(self.noisy)

    def whole(self, pair: int) -> Crop:
        """Pair number `pair` from beginning to end."""
        return Crop(self.noisy.read(pair), self.clean.read(pair), pair, 0)


def _by_pair(corpus: Corpus) -> Corpus:
    return corpus.take(np.argsort(np.array([os.fsencode(pair) for pair in corpus.texts("pair")])))


def segments_of(lengths: NDArray[np.int64], frames: int, stride: int) -> NDArray[np.int64]:
    """Rows (clip, start) of all segments of `frames` samples, `stride` apart, that cover clips of `lengths`.

    A clip has ceil((length - frames) / stride) + 1 of them, or one where it is shorter, so that the last may
    end behind it. As in MANNER's published code.
    """
    counts = np.maximum(0, -(-(np.asarray(lengths) - frames) // stride)) + 1
    clips = np.repeat(np.arange(len(counts)), counts)
    starts = (np.arange(len(clips)) - np.repeat(np.cumsum(counts) - counts, counts)) * stride
    return np.stack([clips, starts], axis=1)


def cut_segment(pairs: Pairs, pair: int, start: int, frames: int) -> Crop:
    """A segment of a pair from `start` on; what lies behind its end is silence."""
    known = min(frames, int(pairs.noisy.frames[pair]) - start)
    noisy, clean = (side.read(pair, start, known) for side in (pairs.noisy, pairs.clean))
    return Crop(filled_up(noisy, frames), filled_up(clean, frames), pair, start)


def filled_up(samples: NDArray, frames: int) -> NDArray:
    """(T,) to (frames,) with zeros at the end."""
    return np.pad(samples, (0, frames - len(samples)))


def drawn_pair(seed: int, epoch: int, index: int, pairs: Pairs) -> int:
    """A pair for crop `index` of `epoch`, drawn by its length."""
    pick = philox(seed, pairs.stream, epoch, index).random()
    return min(int(np.searchsorted(pairs.steps, pick, side="right")), len(pairs) - 1)


def make_crop(seed: int, epoch: int, index: int, pairs: Pairs, pair: int, clip_seconds: float) -> Crop:
    """Crop `index` of `epoch`: cut from a pair at random where the speech does not pause."""
    frames = round(clip_seconds * pairs.sample_rate)
    length = int(pairs.noisy.frames[pair])
    if length <= frames:
        before = int(philox(seed, pairs.stream, epoch, index, 1).random() * (frames - length + 1))
        padding = (before, frames - length - before)
        whole = pairs.whole(pair)
        return Crop(np.pad(whole.noisy, padding), np.pad(whole.clean, padding), pair, 0, before)
    start, clean = _audible_part(seed, epoch, index, pairs, pair, frames)
    return Crop(pairs.noisy.read(pair, start, frames), clean, pair, start)


def crop_in_memory(
    seed: int, epoch: int, index: int, noisy: NDArray, clean: NDArray, frames: int, sample_rate: int
) -> tuple[NDArray, NDArray]:
    """Cut a pair (T,) of clip `index` to (frames,) at a random place where the speech does not nearly pause.

    A shorter pair is put at a random place with silence around it.
    """
    spare = len(clean) - frames
    if spare <= 0:
        before = int(philox(seed, CROPS, epoch, index).random() * (1 - spare))
        padding = (before, -spare - before)
        return np.pad(noisy, padding), np.pad(clean, padding)
    quietest_db = levels.active_level_db(clean, sample_rate) - QUIETEST_SPEECH_DB
    for attempt in range(ATTEMPTS):
        start = int(philox(seed, CROPS, epoch, index, attempt).random() * (spare + 1))
        if levels.rms_db(clean[start : start + frames]) >= quietest_db:
            break
    else:
        start = min(max(int(np.abs(levels.without_mean(clean)).argmax()) - frames // 2, 0), spare)
    return noisy[start : start + frames], clean[start : start + frames]


def _audible_part(
    seed: int, epoch: int, index: int, pairs: Pairs, pair: int, frames: int
) -> tuple[int, NDArray[np.float32]]:
    """Where to cut, and the clean speech there: a draw that is not nearly all pause, or the loudest place."""
    quietest_db = pairs.clean.number("active_level_db", pair) - QUIETEST_SPEECH_DB
    last_start = int(pairs.clean.frames[pair]) - frames
    for attempt in range(1, ATTEMPTS + 1):
        start = int(philox(seed, pairs.stream, epoch, index, attempt).random() * (last_start + 1))
        clean = pairs.clean.read(pair, start, frames)
        if levels.rms_db(clean) >= quietest_db:
            return start, clean
    start = around_peak(pairs.clean, Piece(pair, 0, frames)).start
    return start, pairs.clean.read(pair, start, frames)
