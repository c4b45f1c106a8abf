"""The command: read what runs recorded of their patches, sort them, write tables, figures and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedistill.analyzing.csv_rows import curves_csv, shares_csv
from sedistill.analyzing.gaps import Gap, compute_gap, find_teacher
from sedistill.analyzing.report_text import analysis_document
from sedistill.analyzing.trends import RunTrends, Sorting, read_runs
from sedistill.common.errors import UserError
from sedistill.common.provenance import Provenance
from sedistill.common.reading import TO_BE_READ
from sedistill.common.report.figures import require_drawing
from sedistill.common.report.printing import print_tables
from sedistill.common.writing import atomic_folder, refuse_existing, refuse_inside
from sedistill.common.yaml_files import yaml_text
from sedistill.training.patch_record.record import read_patch_record

NAME, FIGURES = "analysis", "figures"
FACTS, SHARES, CURVES, PAGE = f"{NAME}.yaml", "shares.csv", "curves.csv", f"{NAME}.html"
THRESHOLD = 0.01  # DISPatch (2025), section 2.1, for sums over bins


@dataclass(frozen=True)
class Analysis:
    """The runs in their order, the teacher first, and the gap of each other one to the teacher, if any."""

    runs: Sequence[RunTrends]
    gaps: Sequence[Gap]


def analyze(
    runs: Sequence[Path | str],
    output: Path | str,
    teacher: Path | str | None = None,
    converging_below: float | None = None,
    exploding_above: float | None = None,
    bin_reduction: str = "sum",
    include_init: bool = False,
    overwrite: bool = False,
    show: bool = False,
) -> Analysis:
    """Sort the patches that runs recorded on the way into converging, converged, challenging and exploding.

    The patch analysis of DISPatch (2025), section 2.1 and figure 2, for runs that were trained with the
    recipe key `patch_record` on the same clips. The output folder gets shares.csv and curves.csv (every
    number), analysis.md and analysis.html (tables, figures, how to read them), figures/ and analysis.yaml,
    whole or not at all.

    Args:
        runs: folders of runs, finished or not.
        output: the folder to write.
        teacher: the run of the teacher, one of `runs` or another; None takes the one that the recipe of
            another names. To it knowledge gaps are computed.
        converging_below, exploding_above: thresholds on the change over the fitted line; None takes -0.01
            and 0.01, for means over bins divided by the patch size.
        bin_reduction: errors are a "sum" over the bins of a patch (equation 1) or their "mean".
        include_init: whether the untrained network is the first observation.
        overwrite: replace an earlier analysis at `output`.
        show: print the tables and how to read them.

    Raises UserError before anything is written: runs without records, with fewer than two observations, on
    different clips or with other patches, thresholds that overlap, an output that exists, missing packages.
    """
    output = Path(output)
    refuse_existing(output, overwrite, marker=FACTS)
    refuse_inside(output, map(Path, runs))
    require_drawing("analyzing")
    with atomic_folder(output, overwrite, marker=FACTS) as temporary:
        folders = ordered([Path(run) for run in runs], None if teacher is None else Path(teacher))
        threshold = THRESHOLD
        if bin_reduction == "mean":
            threshold /= read_patch_record(folders[0]).facts["patch_size"]
        sorting = Sorting(
            -threshold if converging_below is None else converging_below,
            threshold if exploding_above is None else exploding_above,
            bin_reduction,
            include_init,
        )
        analysis = analyze_runs(read_runs(folders, sorting), named=teacher is not None)
        facts, made_by = facts_about(analysis, sorting), Provenance.now()
        shown = [*_shown_facts(facts), *made_by.lines()]
        document = analysis_document(analysis.runs, analysis.gaps, shown)
        texts = {
            SHARES: shares_csv(analysis.runs, analysis.gaps),
            CURVES: curves_csv(analysis.runs),
            FACTS: yaml_text(facts | made_by.facts()),
            **document.files(NAME, FIGURES),
        }
        (temporary / FIGURES).mkdir()
        for name, text in texts.items():
            (temporary / name).write_text(text, **TO_BE_READ)
    if show:
        print_tables(document.tables, document.sentences)
        print(f"Every number, the figures and a page are in {output}.")
    return analysis


def ordered(runs: list[Path], teacher: Path | None) -> list[Path]:
    """The runs with the named teacher first. Raises UserError where there is none."""
    if not runs and teacher is None:
        raise UserError("no run is given; name the folder of at least one, such as runs/NAME/seed-0.")
    if teacher is None:
        return runs
    return [teacher, *(run for run in runs if run.resolve() != teacher.resolve())]


def analyze_runs(runs: list[RunTrends], named: bool) -> Analysis:
    """The gaps to the teacher: the first run if it was named, else the one that another's recipe names."""
    teacher = runs[0] if named else find_teacher(runs)
    if teacher is None:
        return Analysis(runs, [])
    students = [run for run in runs if run is not teacher]
    return Analysis([teacher, *students], [compute_gap(teacher, student) for student in students])


def facts_about(analysis: Analysis, sorting: Sorting) -> dict[str, Any]:
    """What was analyzed how, for whoever reads the numbers later."""
    first = analysis.runs[0].record
    return {
        "runs": {
            run.name: {
                "folder": str(run.folder),
                "observations": run.trends.count,
                "every_steps": run.record.facts["every_steps"],
                "last_step": run.record.step,
                "level_factor": round(float(run.record.facts["level_factor"]), 6),
                "selections_counted": run.record.selections,
                **({"distils": rule} if (rule := run.record.facts["rule"]) else {}),
            }
            for run in analysis.runs
        },
        "teacher": analysis.gaps[0].teacher.name if analysis.gaps else None,
        "clips": first.clips,
        "patch_size": first.facts["patch_size"],
        "bin_reduction": sorting.bin_reduction,
        "converging_below": sorting.converging_below,
        "exploding_above": sorting.exploding_above,
        "include_init": sorting.include_init,
        "clean_rms_db": first.facts["clean_rms_db"],
        "level_db": first.facts["level_db"],
        "correct_level": first.facts["correct_level"],
        "stft": {"window_length": first.facts["window_length"], "hop_length": first.facts["hop_length"]},
    }


def _shown_facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    runs = [f"{run['folder']} (a record every {run['every_steps']} steps)" for run in facts["runs"].values()]
    stft = facts["stft"]
    return [
        ("runs", ", ".join(runs)),
        ("clips", ", ".join(facts["clips"])),
        ("errors", f"squared differences of magnitudes, {facts['bin_reduction']} over {facts['patch_size']} "
         f"bins; windows of {stft['window_length']} samples every {stft['hop_length']}"),
    ]  # fmt: skip
