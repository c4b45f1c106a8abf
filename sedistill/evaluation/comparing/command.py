"""The command: read evaluations, test every method against the baseline, write tables, figures and a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sedistill.common.argument_checks import check_list
from sedistill.common.provenance import Provenance
from sedistill.common.reading import NAMES, TO_BE_READ
from sedistill.common.report.figures import require_drawing
from sedistill.common.report.printing import print_tables
from sedistill.common.wording import UNKNOWN
from sedistill.common.writing import atomic_folder, refuse_existing, refuse_inside
from sedistill.common.yaml_files import yaml_text
from sedistill.evaluation.comparing.alignment import AlignedSet, align
from sedistill.evaluation.comparing.by_snr import by_snr_csv
from sedistill.evaluation.comparing.comparison import Comparison, compare_methods
from sedistill.evaluation.comparing.csv_rows import comparison_csv
from sedistill.evaluation.comparing.report_text import comparison_document, summary_tables

NAME, FIGURES = "comparison", "figures"
FACTS, NUMBERS, BY_SNR = f"{NAME}.yaml", f"{NAME}.csv", "by-snr.csv"


def compare(
    evaluations: Sequence[Path | str],
    output: Path | str,
    baseline: str | None = None,
    teacher: str | None = None,
    metrics: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    overwrite: bool = False,
    show: bool = False,
) -> Comparison:
    """Compare methods with a baseline, clip by clip and seed by seed, and write what that shows.

    The models in all evaluations are grouped by recipe; seeds of one recipe are one method. The output
    folder gets comparison.csv (every number), by-snr.csv (differences within ranges of SNR), comparison.md
    and comparison.html (tables, figures, how to read them), figures/ (one forest plot a set and metric) and
    comparison.yaml (what was compared how), whole or not at all.

    Args:
        evaluations: folders that `sedistill evaluate` wrote, on the same clips, or single sets in them.
        output: the folder to write.
        baseline: the method to compare with, or "noisy"; None takes "alone".
        teacher: the method whose gap to the baseline is to be closed; None takes "teacher", if there is one.
        metrics: names of metrics; None takes all that the evaluations share.
        methods: the methods to test; None takes all others.
        overwrite: replace an earlier comparison at `output`.
        show: print the summary tables and how to read them.

    Raises UserError before anything is written: evaluations on different clips, unknown names, nothing to
    compare, an output that exists, packages that are missing.
    """
    for name, given in (("evaluations", evaluations), ("metrics", metrics), ("methods", methods)):
        check_list(name, given)
    output = Path(output)
    refuse_existing(output, overwrite, marker=FACTS)
    refuse_inside(output, map(Path, evaluations))
    require_drawing("comparing")
    with atomic_folder(output, overwrite, marker=FACTS) as temporary:
        comparison = compare_methods(align(evaluations, metrics), baseline, teacher, methods)
        facts, made_by = facts_about(comparison, evaluations), Provenance.now(("numpy", "scipy"))
        document = comparison_document(comparison, [*_shown_facts(facts), *made_by.lines()])
        (temporary / FIGURES).mkdir()
        for place, text in document.files(NAME, FIGURES).items():
            (temporary / place).write_text(text, **TO_BE_READ)
        (temporary / NUMBERS).write_text(comparison_csv(comparison), **NAMES)
        (temporary / BY_SNR).write_text(by_snr_csv(comparison), **NAMES)
        (temporary / FACTS).write_text(yaml_text(facts | made_by.facts()), encoding="utf-8")
    if show:
        print_tables(summary_tables(comparison), document.sentences)
        print(f"Every number, the figures and a page are in {output}.")
    return comparison


def facts_about(comparison: Comparison, evaluations: Sequence[Path | str]) -> dict[str, Any]:
    """What was compared how, for whoever reads the numbers later."""
    seeds = {row.method: list(row.seeds) for row in comparison.differences}
    return {
        "evaluations": [str(place) for place in evaluations],
        "sets": {scores.name: _counts(scores) for scores in comparison.sets},
        "baseline": comparison.baseline,
        "teacher": comparison.teacher,
        "seeds": {method: seeds[method] for method in comparison.methods},
        "tests": "paired t-test and Wilcoxon signed-rank test, two-tailed; over clips and over seeds",
        "clusters": "utterance and noise recording, where clips share them (Cameron, Gelbach, Miller 2011)",
        "intervals": "95 %, Student's t; shares of the gap after Fieller",
        "holm_over_at_most": comparison.family_size,
    }


def _counts(scores: AlignedSet) -> dict[str, int]:
    known = scores.clusters
    recordings = {"utterances": known.utterance_count, "noise_recordings": known.noise_count} if known else {}
    return {"clips": len(scores.clips), **{name: count for name, count in recordings.items() if count}}


def _shown_facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    seeds = "; ".join(f"{name} {', '.join(map(str, of)) or UNKNOWN}" for name, of in facts["seeds"].items())
    return [
        ("evaluations", ", ".join(facts["evaluations"])),
        ("seeds", seeds),
        ("tests", facts["tests"]),
        ("intervals", facts["intervals"]),
    ]
