"""`benchmark`: what networks cost here, in every way to run them, and how good they are in each."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sedistill.common.argument_checks import check_list
from sedistill.common.devices import usable_cores, worker_count
from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.common.provenance import Provenance
from sedistill.common.reading import TO_BE_READ
from sedistill.common.writing import atomic_folder
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_alignment import PREPARED_ALIGNED, PREPARED_TRUSTED, check_all
from sedistill.data.set_notes import notes_on
from sedistill.evaluation.clip_scoring import score_set
from sedistill.evaluation.metrics import Metric, metrics_named
from sedistill.evaluation.scores import NOISY
from sedistill.evaluation.systems import NOISY_SYSTEM, System, systems_of
from sedistill.inference.exporting.command import Form, export
from sedistill.inference.exporting.running import open_onnx
from sedistill.workflows.benchmarking.cases import FOREIGN, USUAL_WAYS, Case, cases_of, subjects_of
from sedistill.workflows.benchmarking.measurements import METRICS, Benchmark, Row
from sedistill.workflows.benchmarking.processes import costs_in_process, load_text, waiting_text
from sedistill.workflows.benchmarking.report_text import PICTURE, benchmark_document, quality_and_cost
from sedistill.workflows.benchmarking.timed_job import Job

PACKAGES = ("numpy", "torch", "onnxruntime")
NAME, FACTS = "benchmark", "benchmark.json"
PNG_DPI = 200


def benchmark(
    models: Sequence[Path | str | Mapping[str, Any]],
    onnx: Sequence[Path | str] = (),
    on: FixedSet | Path | str | None = None,
    ways: Sequence[str] = USUAL_WAYS,
    seconds: float = 10.0,
    rounds: int = 5,
    workers: int | None = None,
) -> Benchmark:
    """Measure what networks cost on this machine, each case in a process of its own.

    Args:
        models: saved models, names of ready-made ones, presets (untrained: their cost alone), and other
            teachers (docs/teachers.md), such as "deepfilternet".
        onnx: files of denoisers, by whomever.
        on: a set of pairs on which every way of every trained network is scored.
        ways: of networks: "eager", "compiled" (by torch.compile), "onnx" (exported) and "int8"
            (the same in eight bits, calibrated on the set).
        seconds: of sound in a round.
        rounds: the fastest one tells the real-time factors; steps of all rounds count.
        workers: clips that are scored at a time; None: one a core.

    A way that fails has the reason in its row. Raises UserError for whatever cannot be used at all.
    """
    for name, given in (("models", models), ("onnx", onnx), ("ways", ways)):
        check_list(name, given)
    cases = list(cases_of(subjects_of(models, onnx), ways))
    metrics = [] if on is None else metrics_named(METRICS)
    pairs = None if on is None else on if isinstance(on, FixedSet) else FixedSet(on)
    if pairs is not None:
        check_all(pairs, False, worker_count(workers), remedy=PREPARED_ALIGNED, way_on=PREPARED_TRUSTED)
    busy = load_text()
    if busy:
        print(f"warning: {busy}", file=sys.stderr)
    cores = usable_cores()
    with TemporaryDirectory(prefix="sedistill-") as folder:
        rows = _measured(cases, Path(folder), pairs, cores, seconds, rounds)
        done = [(case, row) for case, row in zip(cases, rows, strict=True) if row.costs is not None]
        noisy = {} if pairs is None else _score(done, Path(folder), pairs, metrics, worker_count(workers))
    warnings = [waiting_text([row.costs for row in rows if row.costs]) or busy]
    warnings += [] if pairs is None else notes_on(pairs)
    return Benchmark(
        rows=rows,
        cores=cores,
        seconds=seconds,
        rounds=rounds,
        set_name=None if pairs is None else pairs.folder.name,
        clips=0 if pairs is None else len(pairs),
        noisy=noisy,
        warnings=[text for text in warnings if text],
        made_by=Provenance.now(name for name in PACKAGES if find_spec(name)),
    )


def _score(
    done: Sequence[tuple[Case, Row]], folder: Path, pairs: FixedSet, metrics: Sequence[Metric], workers: int
) -> dict[str, float]:
    """Put the means over a set into the rows, and return those of the noisy input."""
    systems = [_system(case, row, folder, pairs) for case, row in done if case.subject.trained]
    scores = score_set(pairs.folder.name, pairs, [NOISY_SYSTEM, *systems], metrics, workers)
    means = {
        model: {metric.name: scores.mean(model, metric.name) for metric in metrics} for model in scores.models
    }
    for _, row in done:
        row.scores = means.get(row.label, {})
    return means[NOISY]


def _measured(
    cases: Sequence[Case], folder: Path, pairs: FixedSet | None, cores: int, seconds: float, rounds: int
) -> list[Row]:
    """A row for each case. What is exported stays in `folder`."""
    rows = []
    steps = sum(_processes(case, cores) + _is_exported(case) for case in cases)
    with ProgressBar("measuring", steps, "steps") as bar:
        for case in cases:
            subject, done = case.subject, bar.done
            row = Row(subject.label, case.way, None, None, subject.parameters, subject.macs_per_second)
            rows.append(row)
            try:
                way, model = case.way, subject.model
                if _is_exported(case):
                    way, model = "onnx", str(_exported(case, folder, pairs))
                    row.bytes = Path(model).stat().st_size
                    bar.advance(note=case.label)
                else:
                    row.bytes = subject.bytes_of(way)
                row.costs = costs_in_process(Job(way, model, 1, seconds, rounds))
                bar.advance(note=case.label)
                if _processes(case, cores) == 2:
                    row.real_time_all = costs_in_process(Job(way, model, cores, seconds, rounds)).real_time
                    bar.advance(note=case.label)
            except UserError as error:
                row.costs, row.refused = None, str(error)
                expected = _processes(case, cores) + _is_exported(case)
                bar.advance(expected - (bar.done - done))
    return rows


def _processes(case: Case, cores: int) -> int:
    """One on one thread and, where a way can take several, one on all."""
    return 1 if case.way == FOREIGN or cores == 1 else 2


def _is_exported(case: Case) -> bool:
    return case.way in ("onnx", "int8")


def _place(case: Case, folder: Path) -> Path:
    return folder / f"{case.label.replace('/', '-').replace(' ', '-')}.onnx"


def _exported(case: Case, folder: Path, pairs: FixedSet | None) -> Path:
    """The network as a file: its steps where it has some, else whole clips. Of int8 no quality is asked."""
    network, place = case.subject.network, _place(case, folder)
    assert network is not None
    form: Form = "clip" if network.step_samples is None else "stream"
    if case.way == "onnx":
        export(network, place, form)
    elif pairs is None:
        raise UserError("int8 is calibrated on the set; give one (--on).")
    else:
        export(network, place, form, precision="int8", calibrate=pairs.folder, max_pesq_loss=math.inf)
    return place


def _system(case: Case, row: Row, folder: Path, pairs: FixedSet) -> System:
    """What is scored of a case."""
    subject = case.subject
    if subject.settings is not None:
        (system,) = systems_of([subject.settings.model_dump(exclude_none=True)], True, pairs)
        return System(row.label, None, system.facts, True, system.teacher)
    network = open_onnx(_place(case, folder)) if _is_exported(case) else subject.network
    return System(row.label, network, {})


def write_benchmark(found: Benchmark, output: Path | str, overwrite: bool = False) -> None:
    """Write a page (HTML and Markdown), the picture (SVG and PNG) and the numbers (JSON) as a folder."""
    with atomic_folder(Path(output), overwrite, marker=FACTS) as temporary:
        for place, text in benchmark_document(found).files(NAME).items():
            (temporary / place).write_text(text, **TO_BE_READ)
        if found.noisy:
            quality_and_cost(found).savefig(temporary / f"{PICTURE}.png", dpi=PNG_DPI)
        (temporary / FACTS).write_text(json.dumps(found.facts(), indent=2), **TO_BE_READ)
