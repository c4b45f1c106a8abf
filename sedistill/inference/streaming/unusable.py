"""Chunks that no network may hear, and what stands in their place."""

from collections import deque

import numpy as np

from sedistill.inference.enhancing.arrays import LOUDEST
from sedistill.inference.streaming.pass_through import Samples


class Unusable:
    """Chunks with NaN, infinities or samples beyond all sound: silence is heard, and their place is filled.

    Args: keep: whether a chunk comes back as it came, or as silence.
    """

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.count = 0
        self._heard = self._given = 0  # samples so far
        self._places: deque[tuple[int, Samples]] = deque()  # where chunks begin whose output is to come

    def heard(self, samples: Samples) -> Samples:
        """What the network is to hear of a chunk (channels, samples)."""
        start, self._heard = self._heard, self._heard + samples.shape[1]
        with np.errstate(invalid="ignore"):
            if (np.abs(samples) <= LOUDEST).all():
                return samples
        self.count += 1
        silence = np.zeros_like(samples)
        self._places.append((start, samples.copy() if self.keep else silence))
        return silence

    def filled(self, output: Samples) -> Samples:
        """The next samples of the output, with what stands in the place of such chunks."""
        start, end = self._given, self._given + output.shape[1]
        self._given = end
        for begins, samples in self._places:
            first, last = max(start, begins), min(end, begins + samples.shape[1])
            if first < last:
                output = output.copy()
                output[:, first - start : last - start] = samples[:, first - begins : last - begins]
        while self._places and self._places[0][0] + self._places[0][1].shape[1] <= end:
            self._places.popleft()
        return output
