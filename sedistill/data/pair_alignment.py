"""The files of every pair held against each other: what does not fit is refused, shifted or trusted."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.common import ranks
from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.common.reading import shown
from sedistill.common.wording import first_few
from sedistill.data.corpus import Corpus
from sedistill.data.crops import Pairs
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_fit import DRIFTS, SHIFTED, TRUSTED, UNKNOWN, UNRELATED, PairFit, fit_of_arrays

SOME = 32
"""So many pairs, evenly spread, are looked at before a training."""
PREPARED_ALIGNED = "`sedistill prepare --noisy ... --clean ... --align` shifts such pairs"
PREPARED_TRUSTED = "a set mixed from what `sedistill prepare --trust-pairs` made"

Read = Callable[[int], tuple[NDArray, NDArray]]


def check_all(
    pairs: FixedSet,
    align: bool,
    workers: int,
    trust: bool = False,
    remedy: str = "evaluate --align shifts such pairs",
    way_on: str = "--trust-pairs",
) -> None:
    """Look at every pair before it is scored; shift late and early ones if `align`. Our own mixtures fit.

    With `trust`, or of a corpus prepared so, pairs that do not fit are used as they are, which is printed,
    and noted in `pairs.misfits`: very noisy or reverberant pairs may be taken for misfits.

    Raises UserError for pairs that are shifted (unless `align`), drift, or are of two recordings; `remedy`
    is how to have them shifted, `way_on` how to trust them nevertheless.
    """
    if pairs.is_mixed_here:
        return
    own = _measure(pairs.__getitem__, ranks.own_share(len(pairs)), pairs.sample_rate, workers)
    fits = ranks.in_turn(ranks.gathered(own))
    wrong = {pairs.name(i): fit for i, fit in enumerate(fits) if fit.is_wrong}
    if align:
        wrong = {name: fit for name, fit in wrong.items() if fit.verdict != SHIFTED}
    told = _Told(pairs.folder, wrong, len(pairs), pairs.sample_rate)
    told.refuse_or_warn(trust or is_trusted(pairs), remedy, way_on)
    pairs.misfits = list(wrong)
    if align:
        pairs.shift([fit.lag if fit.verdict == SHIFTED else 0 for fit in fits])


def check_some(
    source: FixedSet | Corpus, trust: bool = False, way_on: str = "data.trust_pairs: true"
) -> None:
    """Look at some pairs of a set, or of the training split of a corpus of ready pairs, before a training.

    Trusts pairs and raises UserError as `check_all` does.
    """
    if isinstance(source, FixedSet):
        if not source.is_mixed_here:
            _check_some(source, len(source), source.__getitem__, source.name, trust, way_on)
    elif (part := source.split("train")).has_pairs:
        pairs = Pairs(part)

        def read(index: int) -> tuple[NDArray, NDArray]:
            return pairs.noisy.read(index), pairs.clean.read(index)

        _check_some(source, len(pairs), read, lambda index: pairs.noisy[index].path, trust, way_on)


def is_trusted(source: FixedSet | Corpus) -> bool:
    """Whether its pairs were trusted when the corpus was prepared that it is of."""
    return bool(source.facts.get(TRUSTED))


def _check_some(
    source: FixedSet | Corpus, count: int, read: Read, name: Callable[[int], str], trust: bool, way_on: str
) -> None:
    chosen = np.unique(np.linspace(0, count - 1, min(SOME, count)).round().astype(int)).tolist()
    fits = _measure(read, chosen, source.sample_rate, workers=1)
    wrong = {name(i): fit for i, fit in zip(chosen, fits, strict=True) if fit.is_wrong}
    told = _Told(source.folder, wrong, len(chosen), source.sample_rate)
    told.refuse_or_warn(trust or is_trusted(source), PREPARED_ALIGNED, way_on)


def _measure(read: Read, which: Sequence[int], sample_rate: int, workers: int) -> list[PairFit]:
    def fit_of(index: int) -> PairFit:
        try:
            fit = fit_of_arrays(*read(index), sample_rate)
        except UserError:  # whoever scores or trains on the clip says what is amiss with it
            fit = PairFit(UNKNOWN)
        bar.advance()
        return fit

    with (
        ProgressBar("checking pairs", len(which), "pairs") as bar,
        ThreadPoolExecutor(workers) as threads,
    ):
        return list(threads.map(fit_of, which))


@dataclass(frozen=True)
class _Told:
    """The words about `wrong`, misfits by their names, among so many pairs."""

    folder: Path
    wrong: Mapping[str, PairFit]
    of: int
    sample_rate: int

    def refuse_or_warn(self, trust: bool, remedy: str, way_on: str) -> None:
        if self.wrong and trust:
            print(f"Warning: {self.finding}; they are trusted and used as they are.", flush=True)
        elif self.wrong:
            raise UserError(f"{self.finding}; {', '.join(self._remedies(remedy, way_on))}.")

    @property
    def finding(self) -> str:
        told = [f"{shown(name)} {fit.text(self.sample_rate)}" for name, fit in self.wrong.items()]
        return (
            f"{shown(self.folder)}: {len(self.wrong)} of {self.of} pairs are misaligned or do not belong "
            f"together: {first_few(told)}"
        )

    def _remedies(self, remedy: str, way_on: str) -> list[str]:
        kinds = {fit.verdict for fit in self.wrong.values()}
        remedies = [remedy] if SHIFTED in kinds else []
        if kinds & {DRIFTS, UNRELATED}:
            remedies.append(f"take {'the others' if remedies else 'them'} out or put the right files there")
        return [*remedies, f"or go on with them as they are, if you know that they fit, with {way_on}"]
