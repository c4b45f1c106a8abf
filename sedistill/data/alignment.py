"""The files of every pair held against each other: what does not fit is refused, or shifted where asked."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.data.corpus import Corpus
from sedistill.data.crops import Pairs
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_fit import DRIFTS, SHIFTED, UNKNOWN, UNRELATED, PairFit, fit_of_arrays
from sedistill.errors import UserError
from sedistill.progress import ProgressBar

SOME = 32
"""So many pairs, evenly spread, are looked at before a training."""
_SHOWN = 3

Read = Callable[[int], tuple[NDArray, NDArray]]


def check_all(pairs: FixedSet, align: bool, workers: int) -> None:
    """Look at every pair before it is scored; shift late and early ones if `align`. Our own mixtures fit.

    Raises UserError for pairs that are shifted (unless `align`), drift, or are of two recordings.
    """
    if _is_mixed_here(pairs):
        return
    fits = _measure(pairs.__getitem__, range(len(pairs)), pairs.sample_rate, workers)
    wrong = {pairs.name(i): fit for i, fit in enumerate(fits) if fit.is_wrong}
    if align:
        wrong = {name: fit for name, fit in wrong.items() if fit.verdict != SHIFTED}
    _refuse(pairs.folder, wrong, len(pairs), pairs.sample_rate, "evaluate --align shifts such pairs")
    pairs.shift([fit.lag if fit.verdict == SHIFTED else 0 for fit in fits])


def check_some(source: FixedSet | Corpus, workers: int = 1) -> None:
    """Look at some pairs of a set, or of the training split of a corpus of ready pairs, before a training.

    Raises UserError as `check_all` does.
    """
    if isinstance(source, FixedSet):
        if _is_mixed_here(source):
            return
        _check_some(source, len(source), source.__getitem__, source.name, workers)
    elif (part := source.split("train")).has_pairs:
        pairs = Pairs(part)
        _check_some(
            source,
            len(pairs),
            lambda index: (pairs.noisy.read(index), pairs.clean.read(index)),
            lambda index: pairs.noisy[index].path,
            workers,
        )


def _check_some(
    source: FixedSet | Corpus, count: int, read: Read, name: Callable[[int], str], workers: int
) -> None:
    chosen = np.unique(np.linspace(0, count - 1, min(SOME, count)).round().astype(int)).tolist()
    fits = _measure(read, chosen, source.sample_rate, workers)
    wrong = {name(i): fit for i, fit in zip(chosen, fits, strict=True) if fit.is_wrong}
    remedy = "`sedistill prepare --noisy ... --clean ... --align` shifts such pairs"
    _refuse(source.folder, wrong, len(chosen), source.sample_rate, remedy)


def _is_mixed_here(pairs: FixedSet) -> bool:
    return bool(pairs.facts) and not pairs.facts.get("pairs", True)


def _measure(read: Read, which: Sequence[int], sample_rate: int, workers: int) -> list[PairFit]:
    def fit_of(index: int) -> PairFit:
        try:
            fit = fit_of_arrays(*read(index), sample_rate)
        except UserError:  # whoever scores or trains on the clip says what is amiss with it
            fit = PairFit(UNKNOWN)
        bar.advance()
        return fit

    with (
        ProgressBar("aligning pairs", len(which), "pairs") as bar,
        ThreadPoolExecutor(workers) as threads,
    ):
        return list(threads.map(fit_of, which))


def _refuse(folder: Path, wrong: dict[str, PairFit], of: int, sample_rate: int, remedy: str) -> None:
    if not wrong:
        return
    told = [f"{name} {fit.text(sample_rate)}" for name, fit in list(wrong.items())[:_SHOWN]]
    more = f", and {len(wrong) - len(told)} more" if len(wrong) > len(told) else ""
    kinds = {fit.verdict for fit in wrong.values()}
    remedies = [remedy] if SHIFTED in kinds else []
    if kinds & {DRIFTS, UNRELATED}:
        remedies.append(f"take {'the others' if remedies else 'them'} out or put the right files there")
    raise UserError(
        f"{folder}: {len(wrong)} of {of} pairs are misaligned or do not belong together: {', '.join(told)}"
        f"{more}; {', '.join(remedies)}."
    )
