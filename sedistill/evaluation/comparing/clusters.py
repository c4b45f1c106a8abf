"""Which clips share an utterance or a noise recording, and what that does to the error of a mean.

300 mixtures of 6 utterances and 2 noise recordings are not 300 independent clips. Clips are taken as
dependent where they share the utterance, the noise recording or both, and as independent where they share
neither: the two-way cluster-robust variance of Cameron, Gelbach and Miller ("Robust inference with multiway
clustering", JBES 2011), for a mean. The t distribution has one degree of freedom less than there are
recordings of the rarer kind, as they advise. Of two recordings little can be said of others of their kind,
and that is what comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 1024
"""Rows of the matrix of pairs that are made float64 at a time."""


@dataclass(frozen=True)
class Clusters:
    """The recordings in every clip.

    Attributes
        utterances: the name of each clip's utterance; "" where it is not known, which shares with none.
        noises: the noise recording of each, or several parted by semicolons; "" likewise.

    >>> clusters = Clusters(utterances=("a", "a", "b"), noises=("rain", "street", "street"))
    >>> clusters.utterance_count, clusters.noise_count, clusters.independent
    (2, 2, False)
    """

    utterances: tuple[str, ...]
    noises: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.utterances)

    def of(self, chosen: NDArray[np.bool_]) -> "Clusters":
        """Those of the chosen clips (clips,)."""
        if chosen.all():
            return self
        return Clusters(
            *(tuple(np.array(names, dtype=object)[chosen]) for names in (self.utterances, self.noises))
        )

    @cached_property
    def utterance_count(self) -> int:
        """Distinct utterances; 0 where none is known."""
        return _distinct(self.utterances)

    @cached_property
    def noise_count(self) -> int:
        """Distinct noise recordings; 0 where none is known."""
        return _distinct(self.noises)

    @cached_property
    def kinds(self) -> list[NDArray[np.bool_]]:
        """Of every kind of recording that not all clips share: which pairs (clips, clips) share one."""
        return [pairs for pairs in (_pairs(self.utterances), _pairs(self.noises)) if not pairs.all()]

    @cached_property
    def independent(self) -> bool:
        """Whether no two clips share anything, but for what all of them share."""
        return (
            len(self) > 1
            and bool(self.kinds)
            and all(np.count_nonzero(pairs) == len(self) for pairs in self.kinds)
        )

    @cached_property
    def fewest(self) -> int:
        """How many recordings there are of the rarer kind, leaving out a kind of which there is one alone.

        No more than clips, although each may hold several noises.
        """
        counts = [_groups(names) for names in (self.utterances, self.noises) if not _pairs(names).all()]
        return min(len(self), *counts) if counts else 1

    def covariances(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Of the means of values (rows, clips): by both kinds of recording, by each alone, and by clips.

        With few recordings the first can come out below the others, even negative; the largest is to be
        used. Empty where all clips share one recording of every kind: then nothing is known.
        """
        if not self.kinds:
            return []
        residuals = values - values.mean(axis=1, keepdims=True)
        factor = self.fewest / (self.fewest - 1) / len(self) ** 2
        kinds = [np.logical_or.reduce(self.kinds), *self.kinds] if len(self.kinds) > 1 else self.kinds
        sums = [_sum_over_pairs(residuals, pairs) for pairs in kinds]
        return [factor * one for one in (*sums, residuals @ residuals.T)]


def _sum_over_pairs(residuals: NDArray[np.float64], pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """sum over i, j that share of r_i r_j, for every two rows of residuals (rows, clips)."""
    total = np.zeros((len(residuals), len(residuals)))
    for start in range(0, len(pairs), AT_ONCE):
        block = slice(start, start + AT_ONCE)
        total += residuals[:, block] @ (pairs[block].astype(np.float64) @ residuals.T)
    return (total + total.T) / 2


def _pairs(names: Sequence[str]) -> NDArray[np.bool_]:
    """(clips, clips): whether two clips share a name; every clip shares with itself."""
    parts = _parts(names)
    codes = {part: code for code, part in enumerate(sorted({part for own in parts for part in own}))}
    width = max((len(own) for own in parts), default=1)
    table = np.full((len(names), max(width, 1)), -1)
    for clip, own in enumerate(parts):
        table[clip, : len(own)] = [codes[part] for part in own]
    shares = np.eye(len(names), dtype=bool)
    for one in table.T:
        for other in table.T:
            shares |= (one[:, None] == other[None, :]) & (one[:, None] >= 0)
    return shares


def _parts(names: Sequence[str]) -> list[list[str]]:
    return [[part for part in dict.fromkeys(name.split(";")) if part] for name in names]


def _distinct(names: Sequence[str]) -> int:
    return len({part for own in _parts(names) for part in own})


def _groups(names: Sequence[str]) -> int:
    """Distinct names, a clip without one being a group of its own."""
    return _distinct(names) + sum(not own for own in _parts(names))


def shared_among(clusters: Clusters | None, chosen: NDArray[np.bool_]) -> Clusters | None:
    """Those of the chosen clips (clips,); None where these are independent as far as is known."""
    of_chosen = clusters.of(chosen) if clusters is not None and chosen.any() else None
    return None if of_chosen is None or of_chosen.independent else of_chosen
