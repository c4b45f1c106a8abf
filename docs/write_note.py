"""Writes docs/note.md from docs/note.md.jinja and the scores in docs/results/evidence: no arguments.

Every number of the note is computed here, from the scores of single clips and the cards of the students; a
test holds the page equal to what this makes of them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from sedistill.common.yaml_files import read_yaml
from sedistill.evaluation.comparing.alignment import AlignedSet, align
from sedistill.evaluation.comparing.by_snr import differences_by_snr
from sedistill.evaluation.comparing.comparison import Comparison, Difference, compare_methods
from sedistill.evaluation.comparing.significance import PairedTest
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import load_scores

DOCS = Path(__file__).parent
EVIDENCE = DOCS / "results" / "evidence"
TEACHER = "deepfilternet"
SETS = ("vbdemand_test", "away", "home")
COMPARED = ("pesq_wb", "stoi", "si_sdr")


class Numbers:
    """What the template may ask for; all of it comes back as text."""

    def __init__(self) -> None:
        scored = [EVIDENCE / "scores", EVIDENCE / "teacher"]
        self.sets: dict[str, AlignedSet] = {one.name: one for one in align(scored, COMPARED)}
        self.scores = {name: load_scores(EVIDENCE / "scores" / name)[name] for name in SETS}

    def count(self, name: str) -> str:
        """The clips of a set."""
        return str(len(self.sets[name].clips))

    def mean(self, name: str, method: str, metric: str) -> str:
        """Over clips and seeds; of "noisy", the teacher or a student by its folder's name."""
        return f"{self._difference(name, method, metric).method_mean:.{METRICS[metric].digits}f}"

    def gain(self, name: str, method: str, over: str, metric: str) -> str:
        """The difference with the half of its 95 % interval over clips."""
        row, digits = self._difference(name, method, metric, over), METRICS[metric].digits
        return with_half(row.over_clips, digits)

    def closed(self, name: str, method: str, over: str, metric: str) -> str:
        """The share of the gap to the teacher that a method closed, with its interval."""
        share = self._difference(name, method, metric, over).gap_closed
        return "–" if share is None else f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"

    def by_snr(self, name: str, method: str, over: str, metric: str) -> list[tuple[str, str, str]]:
        """(range of SNR, clips, difference) from low to high."""
        comparison, digits = self._compared(name, method, over), METRICS[metric].digits
        return [
            (one.snr, str(one.test.n), with_half(one.test, digits))
            for one in differences_by_snr(comparison, self.sets[name], metric, self._method(name, method))
        ]

    def below_noisy(self, name: str, method: str, metric: str) -> str:
        """The share of the clips that a student leaves worse than they were."""
        scores = self.scores[name]
        gains = [scores.improvement(row, metric) for row in scores.rows(method)]
        return f"{sum(gain < 0 for gain in gains) / len(gains):.0%}"

    def card(self, student: str, key: str) -> Any:
        """What a student's card says of its training."""
        return read_yaml(EVIDENCE / "students" / student / "seed-0" / "card.yaml")["training"][key]

    def valid(self, student: str) -> str:
        """WB-PESQ on the validation set, as its card has it."""
        card = read_yaml(EVIDENCE / "students" / student / "seed-0" / "card.yaml")
        return f"{card['metrics']['validation_pesq_wb']:.3f}"

    def _difference(self, name: str, method: str, metric: str, over: str = "noisy") -> Difference:
        if method == "noisy":  # the baseline of any other
            row = self._difference(name, TEACHER, metric)
            return replace(row, method_mean=row.baseline_mean)
        rows = self._compared(name, method, over).of(name, metric)
        return next(row for row in rows if row.method == self._method(name, method))

    def _compared(self, name: str, method: str, over: str) -> Comparison:
        baseline = over if over == "noisy" else self._method(name, over)
        is_teacher = method == TEACHER
        methods = None if is_teacher else [self._method(name, method)]
        return compare_methods([self.sets[name]], baseline, None if is_teacher else TEACHER, methods)

    def _method(self, name: str, student: str) -> str:
        """What `align` calls a student: by its recipe."""
        if student == TEACHER:
            return TEACHER
        recipe = self.scores[name].facts["models"][student]["recipe"]
        return next(one for one in self.sets[name].methods if str(recipe).endswith(one))


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
    return template.render({name: getattr(numbers, name) for name in names}, SETS=SETS)


if __name__ == "__main__":
    (DOCS / "note.md").write_text(note(), encoding="utf-8")
