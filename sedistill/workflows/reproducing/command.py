"""The command: from a table's folder to its numbers beside the paper's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.extras import require
from sedistill.common.reading import TO_BE_READ
from sedistill.common.report.document import Document
from sedistill.common.report.printing import print_tables
from sedistill.common.writing import write_whole
from sedistill.workflows.jobs import jobs_by_devices
from sedistill.workflows.reproducing.comparisons import write_comparisons
from sedistill.workflows.reproducing.report_text import noisy_first
from sedistill.workflows.reproducing.result import gather
from sedistill.workflows.reproducing.session import Session
from sedistill.workflows.reproducing.shipped import table_folder
from sedistill.workflows.reproducing.table import ScaleName, Table, load_table
from sedistill.workflows.reproducing.training_traces import write_analysis


def reproduce(
    table: Path | str,
    data: Path | str | None = None,
    output: Path | str | None = None,
    scale: str = "full",
    seeds: int = 1,
    only: Sequence[str] | None = None,
    plan_only: bool = False,
    jobs: int | None = None,
    changes: Sequence[str] = (),
) -> Path | None:
    """Train what a table of a paper needs, evaluate it, and write our numbers beside the paper's.

    Everything lands in `output`: corpora, sets, recipes as they were trained, runs, evaluations, and
    PAPER/TABLE/result.md, .csv and .html. What is there already is kept, so an interrupted command goes on,
    and tables that share an output share their teachers and rows.

    Args:
        table: a table that comes with the package, such as dispatch/table1, or the folder of another.
        data: the folder of the corpora (full: as downloaded or prepared, by the names the table gives them;
            small: clean/ and noise/). None where nothing is to be trained.
        output: default reproduced/PAPER-SCALE.
        scale: "full" as in the paper, or "small".
        seeds: seeds 0 .. seeds - 1 of every row; teachers have one.
        only: keys of rows; the result shows all, with what there is.
        plan_only: print runs, hours and disk, and stop.
        jobs: trainings at a time, each with its share of the cores and GPUs; None: one a GPU, or one.
        changes: key=value for every recipe, as for `sedistill train`; for trials.

    Returns the folder of the result; None with plan_only. Raises UserError for what the user can mend, and
    when runs failed, after everything that could be finished is written.
    """
    folder = table_folder(table)
    described = noisy_first(load_table(folder))
    chosen = scale_named(described, scale)
    jobs = jobs_by_devices() if jobs is None else jobs
    session = Session(folder, described, chosen, data, output, seeds, only, jobs, changes)
    if plan_only:
        session.print_plan()
        return None
    require(("filelock", "jinja2", "matplotlib"), "train,eval,report", "reproducing")
    session.refuse_lacking()
    with session.alone():
        failed = session.train_and_evaluate()
        document, numbers = gather(session)
        place = session.output / session.name
        write_result(place, document, numbers)
        analysis = write_analysis(session.finished, place)
        compared = write_comparisons(session.finished, place)
    mark = f" ({document.label.lower()})" if document.label else ""
    print_tables([(f"{title}{mark}", table) for title, table in document.tables], document.sentences)
    also = f" The patches of every row, on spectrograms too: {analysis}." if analysis else ""
    print(f"Written: {place}/result.md and result.html, with every number as CSV.{also}")
    for page in compared:
        print(f"Tests, intervals and differences by SNR: {page}")
    if failed:
        first, why = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(session.work.runs)} runs failed, first {first}: {why}. What is finished "
            f"is in {place}; the same command line tries the others again."
        )
    return place


def scale_named(table: Table, name: str) -> ScaleName:
    """The scale of that name. Raises UserError where the table lacks it."""
    known: dict[str, ScaleName] = {"full": "full", "small": "small"}
    if name not in known:
        raise UserError(f"scale = {name}: choose full or small.")
    if table.trains and known[name] not in table.scales:
        raise UserError(f"{table.title}: it has no {name} scale.")
    return known[name]


def write_result(folder: Path, document: Document, numbers: Mapping[str, str]) -> None:
    """Write result.md, result.html, the figures and the numbers as CSV, each whole or not at all."""
    csv_files = {f"{name}.csv": text for name, text in numbers.items()}
    for name, text in (document.files("result") | csv_files).items():
        write_whole(folder / name, text, **TO_BE_READ)
