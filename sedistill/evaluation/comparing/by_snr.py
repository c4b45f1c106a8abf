"""Where in SNR a method differs from the baseline: the test over clips, within each range of SNR."""

from collections.abc import Iterator
from dataclasses import dataclass

from sedistill.common.csv_files import csv_text, number_text
from sedistill.evaluation.comparing.alignment import AlignedSet
from sedistill.evaluation.comparing.clusters import shared_among
from sedistill.evaluation.comparing.comparison import Comparison, defined_clips, paired_differences
from sedistill.evaluation.comparing.significance import PairedTest, paired_test

COLUMNS = ("set", "metric", "method", "baseline", "snr", "clips", "difference", "low", "high")


@dataclass(frozen=True)
class AtSnr:
    """A method minus the baseline on the clips of one range of SNR; `test` is over clips, not corrected."""

    snr: str
    test: PairedTest


def differences_by_snr(comparison: Comparison, scores: AlignedSet, metric: str, method: str) -> list[AtSnr]:
    """From low to high SNR, unknown last; none where all clips are in one range."""
    if len(scores.snr_ranges) < 2:
        return []
    _, of_method, of_baseline = paired_differences(
        scores, metric, method, comparison.baseline, comparison.teacher
    )
    differences = of_method - of_baseline
    found = []
    for snr, within in scores.snr_ranges.items():
        chosen = defined_clips(differences) & within
        test = paired_test(differences.mean(axis=0)[chosen], shared_among(scores.clusters, chosen))
        found.append(AtSnr(snr, test))
    return found


def by_snr_csv(comparison: Comparison) -> str:
    """Every range in full precision, a line each."""
    return csv_text([COLUMNS, *_lines(comparison)])


def _lines(comparison: Comparison) -> Iterator[list[object]]:
    for scores in comparison.sets:
        for metric in scores.metrics:
            for method in comparison.methods:
                for one in differences_by_snr(comparison, scores, metric, method):
                    numbers = map(number_text, (one.test.mean, one.test.low, one.test.high))
                    yield [
                        scores.name, metric, method, comparison.baseline, one.snr, one.test.n, *numbers
                    ]  # fmt: skip
