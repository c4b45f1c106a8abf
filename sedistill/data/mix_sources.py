"""What mixtures are made from: the speech and the noise of a split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.randomness import MIXTURES, stream_of


@dataclass(frozen=True)
class Piece:
    """Part of a clip: its number in the speech or noise corpus, first sample, number of samples."""

    clip: int
    start: int
    frames: int


class Material:
    """The speech and noise of one split, with what drawing from them needs.

    A speech clip is drawn with a probability proportional to its length, so that every second is heard as
    often; a noise clip to the square root of its length, so that a few long recordings do not outweigh
    many short ones. Raises UserError when either is missing.

    Args:
        corpus: one split.
        noise: what to take the noise from instead: another split, or some classes of it.
    """

    def __init__(self, corpus: Corpus, noise: Corpus | None = None) -> None:
        self.speech = corpus.kind("clean")
        self.noise = (corpus if noise is None else noise).kind("noise")
        for kind, part in (("clean speech", self.speech), ("noise", self.noise)):
            if not len(part):
                raise UserError(f"{corpus.folder}: there is no {kind} in this split to make mixtures from.")
        self.split = self.speech[0].split
        self.stream = stream_of(MIXTURES, self.split)
        self.sample_rate = corpus.sample_rate
        self.speech_frames, self.noise_frames = self.speech.frames, self.noise.frames
        self.speech_steps = _cumulative(self.speech_frames)
        self.noise_steps = _cumulative(np.sqrt(self.noise_frames))
        _, self.noise_groups = np.unique(self.noise.codes("group"), return_inverse=True)
        self.by_group = np.argsort(self.noise_groups, kind="stable")
        self.group_ends = np.cumsum(np.bincount(self.noise_groups))

    def others_of_group(self, clip: int) -> NDArray[np.int64]:
        """Noise clips of the same class as `clip`, itself included."""
        group = self.noise_groups[clip]
        first = self.group_ends[group - 1] if group else 0
        return self.by_group[first : self.group_ends[group]]


def _cumulative(weights: NDArray) -> NDArray[np.float64]:
    steps = np.cumsum(weights, dtype=np.float64)
    return steps / steps[-1]
