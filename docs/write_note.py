"""Writes docs/note.md from docs/note.md.jinja and the scores in docs/results/evidence: no arguments.

Every number of the note is computed here, from the scores of single clips and the cards of the students; a
test holds the page equal to what this makes of them.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from sedistill.analyzing.categories import CATEGORIES
from sedistill.common.yaml_files import read_yaml
from sedistill.evaluation.comparing.alignment import AlignedSet, align
from sedistill.evaluation.comparing.by_snr import differences_by_snr
from sedistill.evaluation.comparing.comparison import Comparison, Difference, compare_methods
from sedistill.evaluation.comparing.report_text import p_text
from sedistill.evaluation.comparing.significance import PairedTest, holm
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY

DOCS = Path(__file__).parent
EVIDENCE = DOCS / "results" / "evidence"
TEACHER = "deepfilternet"
LETTERS = {"vbdemand_test": "A", "away": "C", "home": "B"}
"""What the note calls the sets."""
SETS = tuple(LETTERS)
COMPARED = ("pesq_wb", "stoi", "si_sdr")


Pairs = Sequence[tuple[str, str]]
"""Methods and those that they are to be better than."""
Hypothesis = tuple[str, str, str]


class Numbers:
    """What the template may ask for; all of it comes back as text.

    A method goes by its recipe without the paper, as the folders of the students do: students/held.
    """

    def __init__(self) -> None:
        scored = [EVIDENCE / "scores", EVIDENCE / "teacher"]
        self.sets: dict[str, AlignedSet] = {one.name: one for one in align(scored, COMPARED)}

    def count(self, name: str) -> str:
        """The clips of a set."""
        return str(len(self.sets[name].clips))

    def seeds(self, method: str) -> int:
        """How many students there are of a method."""
        return len(self._cards(method))

    def mean(self, name: str, method: str, metric: str) -> str:
        """Over clips and seeds; of "noisy", the teacher or students."""
        return f"{self._difference(name, method, metric).method_mean:.{METRICS[metric].digits}f}"

    def gain(self, name: str, method: str, over: str, metric: str) -> str:
        """The difference with the half of its 95 % interval over clips."""
        row, digits = self._difference(name, method, metric, over), METRICS[metric].digits
        return with_half(row.over_clips, digits)

    def gain_over_seeds(self, name: str, method: str, over: str, metric: str) -> str:
        """The difference with the half of its 95 % interval over seeds."""
        row, digits = self._difference(name, method, metric, over), METRICS[metric].digits
        return with_half(row.over_seeds, digits)

    def by_seed(self, name: str, method: str, over: str, metric: str) -> str:
        """The difference of each seed."""
        row, digits = self._difference(name, method, metric, over), METRICS[metric].digits
        return ", ".join(f"{value:+.{digits}f}" for value in row.by_seed)

    def hypotheses(self, pairs: Pairs, metric: str) -> list[tuple[str, ...]]:
        """(method, the one it is over, set, p over clips, p over seeds) of every pair on every set; p after
        Holm's correction over all of them.
        """
        return [(*one, p_text(clips), p_text(seeds)) for one, clips, seeds in self._corrected(pairs, metric)]

    def proven(self, pairs: Pairs, metric: str) -> list[Hypothesis]:
        """(method, the one it is over, set) of those that the seeds prove at the 5 % level."""
        return [one for one, _, p in self._corrected(pairs, metric) if p < 0.05]

    def with_one_sign(self, pairs: Pairs, metric: str) -> list[Hypothesis]:
        """(method, the one it is over, set) of those in which all seeds have the same sign."""
        return [
            (method, over, name)
            for method, over in pairs
            for name in SETS
            if len(set(np.sign(self._difference(name, method, metric, over).by_seed))) == 1
        ]

    def closed(self, name: str, method: str, over: str, metric: str) -> str:
        """The share of the gap to the teacher that a method closed, with its interval."""
        share = self._difference(name, method, metric, over).gap_closed
        return "–" if share is None else f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"

    def by_snr(self, name: str, method: str, over: str, metric: str) -> list[tuple[str, str, str]]:
        """(range of SNR, clips, difference) from low to high."""
        comparison, digits = self._compared(name, method, over), METRICS[metric].digits
        return [
            (one.snr, str(one.test.n), with_half(one.test, digits))
            for one in differences_by_snr(comparison, self.sets[name], metric, method)
        ]

    def below_noisy(self, name: str, method: str, metric: str) -> str:
        """The share of the clips that students leave worse than they were."""
        scores = self.sets[name]
        index = list(scores.metrics).index(metric)
        noisy = scores.scores[NOISY][None][index]
        worse = [values[index] < noisy for values in scores.scores[method].values()]
        return f"{np.mean(worse):.0%}"

    def steps(self, method: str) -> str:
        """Of its training, as a student's card says."""
        return f"{self._cards(method)[0]['training']['steps']:,}"

    def valid(self, method: str) -> str:
        """WB-PESQ on the validation set, as the cards have it, on the mean over seeds."""
        return f"{np.mean([card['metrics']['validation_pesq_wb'] for card in self._cards(method)]):.3f}"

    def patches(self, method: str) -> dict[str, str]:
        """Shares of the patches of a method's students by category in per cent, ± over seeds."""
        with (EVIDENCE / "patches.csv").open(encoding="utf-8", newline="") as table:
            found = [line for line in csv.DictReader(table) if line["student"].startswith(f"{method}/")]
        shares = {category: [float(line[category]) for line in found] for category in CATEGORIES}
        return {
            one: f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" for one, values in shares.items()
        }

    def _corrected(self, pairs: Pairs, metric: str) -> list[tuple[Hypothesis, float, float]]:
        asked = [(method, over, name) for method, over in pairs for name in SETS]
        rows = [self._difference(name, method, metric, over) for method, over, name in asked]
        over_clips = holm([row.over_clips.p_t for row in rows])
        return list(zip(asked, over_clips, holm([row.over_seeds.p_t for row in rows]), strict=True))

    def _cards(self, method: str) -> list[Any]:
        return [read_yaml(path) for path in sorted((EVIDENCE / method).glob("seed-*/card.yaml"))]

    def _difference(self, name: str, method: str, metric: str, over: str = NOISY) -> Difference:
        if method == NOISY:  # the baseline of any other
            row = self._difference(name, TEACHER, metric)
            return replace(row, method_mean=row.baseline_mean)
        rows = self._compared(name, method, over).of(name, metric)
        return next(row for row in rows if row.method == method)

    def _compared(self, name: str, method: str, over: str) -> Comparison:
        is_teacher = method == TEACHER
        return compare_methods(
            [self.sets[name]], over, None if is_teacher else TEACHER, None if is_teacher else [method]
        )


def with_half(test: PairedTest, digits: int) -> str:
    """A mean difference ± the half of its 95 % interval."""
    mean = round(test.mean, digits) + 0.0  # no minus before a zero
    return f"{mean:+.{digits}f} ± {test.high - test.mean:.{digits}f}"


def note() -> str:
    """The page."""
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    numbers = Numbers()
    names = [name for name in dir(numbers) if not name.startswith("_")]
    template = environment.from_string((DOCS / "note.md.jinja").read_text("utf-8"))
    return template.render({name: getattr(numbers, name) for name in names}, SETS=SETS, LETTERS=LETTERS)


if __name__ == "__main__":
    (DOCS / "note.md").write_text(note(), encoding="utf-8")
