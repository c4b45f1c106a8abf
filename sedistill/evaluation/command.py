"""Score models and the noisy input on sets of noisy/clean pairs, in parallel.

Every worker is a thread that enhances a clip with one torch thread (torch lets go of the interpreter's lock)
and hands it to a scoring process of its own. So as many clips are in the works as there are workers, the
cores are busy whichever of the two takes longer, and the numbers do not depend on the number of workers.
"""

import contextlib
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sedistill.audio import levels
from sedistill.audio.listing import told
from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.common.provenance import Provenance
from sedistill.common.reading import shown
from sedistill.common.writing import atomic_folder, refuse_existing, refuse_inside
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.pair_alignment import check_all
from sedistill.evaluation.labels import distinct_labels, file_names
from sedistill.evaluation.metric_process import Score, ScoringProcess
from sedistill.evaluation.metrics import (
    DEFAULT_METRICS,
    METRICS,
    Metric,
    given_and_reference,
    metrics_named,
)
from sedistill.evaluation.print_scores import print_score_tables
from sedistill.evaluation.score_files import write_scores
from sedistill.evaluation.scores import FACTS, NOISY, ClipScore, SetScores
from sedistill.inference.enhancing.arrays import enhance, level_factor, rate_of, refuse_not_finite
from sedistill.models.ready_made import saved_folder
from sedistill.models.saving import load_model, model_hash, read_card
from sedistill.teachers.opening import open_teacher, settings_of
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import TeacherFrom


@dataclass(frozen=True)
class System:
    """Something to score: the noisy input itself, a network, or another teacher, applied to it."""

    label: str
    network: nn.Module | None
    facts: dict[str, Any]
    correct_level: bool = True
    teacher: TeacherSource | None = None

    def __call__(
        self, noisy: NDArray[np.float32], sample_rate: int, clip: tuple[FixedSet, int] | None = None
    ) -> NDArray[np.float32]:
        """The estimate for a waveform; `clip` is the set and clip whose noisy file it is, if it is one."""
        if self.teacher is not None and clip is not None:
            return self.teacher.on_clip(*clip)
        if self.teacher is not None:
            return self.teacher(torch.from_numpy(noisy)[None])[0].numpy()
        if self.network is None:
            return noisy
        return enhance(self.network, noisy, sample_rate, self.correct_level, chunk_seconds=None)


def evaluate(
    model: nn.Module | Path | str | Mapping[str, Any],
    folder: Path | str,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int | None = None,
    correct_level: bool = True,
    align: bool = False,
    trust_pairs: bool = False,
) -> SetScores:
    """Score one model, and the noisy input, on a folder of pairs, noisy/ and clean/.

    Args:
        model: a network with `sample_rate`, the folder of a saved model, or any other teacher
            (docs/teachers.md), whose delay and level are measured on these pairs.
        metrics: names as in `sedistill.evaluation.metrics.METRICS`.
        workers: clips in the works at a time; None takes one a core. The scores do not depend on it.
        correct_level: multiply the output by the model's measured factor onto clean speech.
        align: shift pairs whose noisy file is late or early against the clean one.
        trust_pairs: score pairs that do not seem to fit as they are, and print how many.

    Returns the scores: `.mean(model_label, "si_sdr")`, `.clips` and more. Every clip is enhanced whole.
    Raises UserError for a folder, model or metric that cannot be used, and for pairs that do not fit.
    """
    chosen = metrics_named(metrics)
    pairs = FixedSet(folder)
    check_all(pairs, align, worker_count(workers), trust_pairs)
    systems = [NOISY_SYSTEM, *systems_of([model], correct_level, pairs)]
    return score_set(pairs.folder.name, pairs, systems, chosen, worker_count(workers))


def evaluate_models(
    models: Sequence[Path | str | Mapping[str, Any]],
    sets: Sequence[Path | str],
    output: Path | str,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int | None = None,
    correct_level: bool = True,
    overwrite: bool = False,
    show: bool = False,
    align: bool = False,
    trust_pairs: bool = False,
) -> dict[str, SetScores]:
    """Score saved models on sets of pairs and write the scores, one folder a set, whole or not at all.

    A set's folder gets clips.csv (every clip and model, every metric and its improvement over noisy, and the
    reason where a metric is undefined), summary.csv and summary.md (means with n and spread, improvements, by
    SNR and by noise class) and evaluation.yaml (what was measured how). `load_scores` reads them back.

    Args:
        models: saved models (folders, or names of ready-made ones) and other teachers (docs/teachers.md),
            whose delay and level are measured on the first set; their rate may be another than the sets'.
        sets: folders of pairs, with noisy/ and clean/.
        output: the folder to write.
        metrics, workers, correct_level: as for `evaluate`.
        overwrite: replace an earlier evaluation at `output`.
        show: print the tables.
        align, trust_pairs: as for `evaluate`.

    Returns the scores by the set's name. Raises UserError before anything is computed for whatever cannot
    be used: model, set, metric, output.
    """
    output = Path(output)
    refuse_existing(output, overwrite, marker=f"*/{FACTS}")
    folders = [model for model in models if isinstance(model, Path | str) and settings_of(model) is None]
    refuse_inside(output, map(Path, [*folders, *sets]))
    chosen = metrics_named(metrics)
    pair_sets = [FixedSet(folder) for folder in sets]
    names = distinct_labels([pairs.folder for pairs in pair_sets], what="set")
    for pairs in pair_sets:
        check_all(pairs, align, worker_count(workers), trust_pairs)
    systems = [NOISY_SYSTEM, *systems_of(models, correct_level, pair_sets[0])]
    results: dict[str, SetScores] = {}
    with atomic_folder(output, overwrite, marker=f"*/{FACTS}") as temporary:
        for name, place_name, pairs in zip(names, file_names(names), pair_sets, strict=True):
            results[name] = score_set(name, pairs, systems, chosen, worker_count(workers))
            place = temporary / place_name
            place.mkdir()
            write_scores(place, results[name])
            if show:
                print_score_tables(results[name])
                for line in (*told(pairs.unread), *offset_warning(pairs)):
                    print(line)
    if show:
        print(f"Every clip and the summaries are in {output}.")
    return results


def is_current(
    scores: SetScores | None, pairs: FixedSet, metrics: Sequence[str], models: Sequence[Path | str] = ()
) -> bool:
    """Whether scores hold every wanted metric, on the set as it is now, of the models as they are now."""
    if scores is None or not set(metrics) <= set(scores.metrics):
        return False
    if scores.facts.get("set", {}).get("hash") != pairs.hash:
        return False
    known = {(one.get("hash"), one.get("output_gain")) for one in scores.facts.get("models", {}).values()}
    return all((model_hash(one), float(read_card(one)["output_gain"])) in known for one in models)


def offset_warning(pairs: FixedSet) -> Iterator[str]:
    """Lines where clean or noisy files have an offset: SI-SDR and the segmental SNR count it as sound."""
    with_offset: dict[str, list[tuple[float, str]]] = {"clean": [], "noisy": []}
    for index in range(len(pairs)):
        try:
            noisy, clean = pairs[index]
        except UserError:  # is told as the reason of every metric
            continue
        for side, samples in (("clean", clean), ("noisy", noisy)):
            if offset := _offset(samples, pairs.sample_rate):
                with_offset[side].append((offset, pairs.name(index)))
    for side, taken_for in (("clean", "speech"), ("noisy", "noise")):
        if with_offset[side]:
            largest, name = max(with_offset[side])
            yield (
                f"Warning: {len(with_offset[side])} of {len(pairs)} {side} files have an offset (a mean that "
                f"is not 0), the largest, {largest:.3g} of full scale, {shown(name)}; SI-SDR and segmental "
                f"SNR as defined take it for {taken_for}: prepare and mix the set again, or take the means "
                "away."
            )


def _offset(samples: NDArray, sample_rate: int) -> float:
    """The magnitude of an offset that lies on all of a clip (T,); 0 for rumble and for what is not finite."""
    if not np.isfinite(samples).all() or not levels.has_steady_mean(samples):
        return 0.0
    return abs(levels.offset_of(float(samples.mean()), levels.active_level_db(samples, sample_rate)))


NOISY_SYSTEM = System(NOISY, None, {})


def worker_count(workers: int | None) -> int:
    """The number asked for, or one a core this process may use."""
    if workers is None:
        return usable_cores()
    if workers < 1:
        raise UserError(f"workers = {workers}: it must be at least 1.")
    return workers


def systems_of(
    models: Sequence[nn.Module | Path | str | Mapping[str, Any]], correct_level: bool, pairs: FixedSet
) -> list[System]:
    """Load every model; the labels are the folders' names, or what tells their paths apart.

    pairs: on which a teacher that is no saved model is measured.
    """
    settings = [None if isinstance(model, nn.Module) else settings_of(model) for model in models]
    labels = distinct_labels([*map(_place_of, models, settings)], what="model", taken=NOISY)
    return [
        _network_system(label, model, correct_level)
        if one is None
        else _teacher_system(label, one, correct_level, pairs)
        for label, model, one in zip(labels, models, settings, strict=True)
    ]


def _place_of(model: Any, settings: TeacherFrom | None) -> Path:
    """What a label is made of."""
    if settings is not None:
        return Path(settings.name.replace("/", "-"))
    return Path(_class_name(model)) if isinstance(model, nn.Module) else saved_folder(model)


def _network_system(label: str, model: Any, correct_level: bool) -> System:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = model if isinstance(model, nn.Module) else load_model(saved_folder(model), device)
    gain = level_factor(network)
    training = getattr(network, "card", {}).get("training", {})
    facts = {
        "folder": None if isinstance(model, nn.Module) else str(saved_folder(model)),
        "hash": model_hash(network),  # type: ignore[arg-type]
        "sample_rate": rate_of(network),
        "recipe": training.get("recipe"),
        "seed": training.get("seed"),
        "output_gain": gain,
        "output_multiplied_by": gain if correct_level else 1.0,
    }
    return System(label, network, facts, correct_level)


def _teacher_system(label: str, settings: TeacherFrom, correct_level: bool, pairs: FixedSet) -> System:
    source = open_teacher(settings, pairs.sample_rate, correct_level, on=pairs)
    facts = {
        "folder": None, "hash": source.hash, "recipe": None, "seed": None, **source.facts(),
        "output_multiplied_by": source.level_factor,
    }  # fmt: skip
    return System(label, None, facts, correct_level, source)


def _device_of(systems: Sequence[System]) -> str:
    networks = [system.network for system in systems if system.network is not None]
    devices = {parameter.device.type for network in networks for parameter in network.parameters()}
    return ", ".join(sorted(devices)) or "cpu"


def _class_name(model: nn.Module) -> str:
    return str(getattr(model, "preset", None) or type(model).__name__)


def score_set(
    name: str, pairs: FixedSet, systems: Sequence[System], metrics: Sequence[Metric], workers: int
) -> SetScores:
    """Score every system on every clip of a set."""
    jobs = [(system, index) for system in systems for index in range(len(pairs))]
    metric_names = [metric.name for metric in metrics]

    def score_job(position: int, process: ScoringProcess) -> ClipScore:
        system, index = jobs[position]
        return score_clip(system, pairs, index, metric_names, process)

    rows = in_parallel(score_job, len(jobs), workers, f"scoring {len(systems)} systems on {name}")
    return SetScores(name, metric_names, rows, facts_about(pairs, systems, metrics))


def score_clip(
    system: System, pairs: FixedSet, index: int, metrics: Sequence[str], process: ScoringProcess
) -> ClipScore:
    """One row; a clip that cannot be read or enhanced has that as the reason for every metric."""
    snr_db = float(pairs.snr_db[index])
    utterance = pairs.utterances[index]
    scores: dict[str, Score]
    try:
        noisy, clean = pairs[index]
        utterance = utterance or f"sha256 {hashlib.sha256(clean.tobytes()).hexdigest()[:16]}"
        for side, samples in (("noisy", noisy), ("clean", clean)):
            refuse_not_finite(samples[:, None], f"the {side} file")
        if np.isnan(snr_db):
            snr_db = levels.snr_db(clean, noisy - clean, pairs.sample_rate)
        scores = _scores_of(system, (pairs, index), noisy, clean, metrics, process)
    except UserError as error:
        scores = dict.fromkeys(metrics, str(error))
    return ClipScore(
        model=system.label,
        clip=pairs.clip_id(index),
        seconds=float(pairs.lengths[index]) / pairs.sample_rate,
        snr_db=snr_db,
        noise_class=os.fsdecode(pairs.noise_classes[index]),
        values={name: np.nan if isinstance(score, str) else score for name, score in scores.items()},
        reasons={name: score for name, score in scores.items() if isinstance(score, str)},
        utterance=utterance,
        noise_recording=pairs.noise_recordings[index],
    )


def _scores_of(
    system: System,
    clip: tuple[FixedSet, int],
    noisy: NDArray[np.float32],
    clean: NDArray[np.float32],
    metrics: Sequence[str],
    process: ScoringProcess,
) -> dict[str, Score]:
    """Every metric of a pair; the system hears each input that one of them needs once."""
    scores: dict[str, Score] = {}
    sample_rate = clip[0].sample_rate
    for given in dict.fromkeys(METRICS[name].given for name in metrics):
        names = [name for name in metrics if METRICS[name].given == given]
        heard, reference = given_and_reference(given, noisy, clean)
        try:
            estimate = system(heard, sample_rate, clip if given == "noisy" else None)
        except UserError as error:
            scores |= dict.fromkeys(names, str(error))
        else:
            scores |= process.score(reference, estimate, sample_rate, names)
    return {name: scores[name] for name in metrics}


def in_parallel(
    job: Callable[[int, ScoringProcess], ClipScore], count: int, workers: int, description: str
) -> list[ClipScore]:
    """Run job(0..count-1, a scoring process) on `workers` threads; results in order.

    On any exception, Ctrl-C included, processes are killed and waiting jobs dropped before it goes on.
    """
    rows: list[ClipScore | None] = [None] * count
    with _scoring_processes(min(workers, count)) as processes, _one_torch_thread():
        idle: queue.SimpleQueue[ScoringProcess] = queue.SimpleQueue()
        for process in processes:
            idle.put(process)

        def run(position: int) -> int:
            process = idle.get()
            try:
                rows[position] = job(position, process)
            finally:
                idle.put(process)
            return position

        with ThreadPoolExecutor(len(processes)) as threads, ProgressBar(description, count, "clips") as bar:
            futures = [threads.submit(run, position) for position in range(count)]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.advance()
            except BaseException:
                for future in futures:
                    future.cancel()
                for process in processes:
                    process.stop()
                raise
    return [row for row in rows if row is not None]


@contextlib.contextmanager
def _scoring_processes(count: int) -> Iterator[list[ScoringProcess]]:
    processes: list[ScoringProcess] = []
    try:
        for _ in range(count):
            processes.append(ScoringProcess())
        yield processes
    finally:
        for process in processes:
            process.stop()


_threads = threading.Lock()
_evaluations, _threads_before = 0, 0
"""How many evaluations are at work in this process, and torch's threads before the first."""


@contextlib.contextmanager
def _one_torch_thread() -> Iterator[None]:
    """One thread an operation: the clips are what runs in parallel, and the numbers stay the same."""
    global _evaluations, _threads_before
    with _threads:
        if not _evaluations:
            _threads_before = torch.get_num_threads()
        _evaluations += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _threads:
            _evaluations -= 1
            if not _evaluations:
                torch.set_num_threads(_threads_before)


def facts_about(pairs: FixedSet, systems: Sequence[System], metrics: Sequence[Metric]) -> dict[str, Any]:
    """What was measured how, for whoever reads the numbers later."""
    shifts = {pairs.clip_id(i): int(lag) for i, lag in enumerate(pairs.lags) if lag}
    judged = [system for system in systems if system.label != NOISY]
    models = {system.label: system.facts for system in judged}
    level = any(system.correct_level for system in judged)
    packages = ["numpy", "torch", *sorted({package for metric in metrics for package in metric.packages})]
    hashes = {"set": pairs.hash} | {label: facts.get("hash") for label, facts in models.items()}
    return {
        "set": {
            "folder": str(pairs.folder),
            "hash": pairs.hash,
            "clips": len(pairs),
            "minutes": round(pairs.seconds / 60, 3),
            "sample_rate": pairs.sample_rate,
            "snr": "as mixed" if pairs.facts else "measured on active levels",
            **({"shifted_samples": shifts} if shifts else {}),
            **({"trusted_although_they_do_not_fit": pairs.misfits} if pairs.misfits else {}),
        },
        "metrics": {metric.name: metric.label_at(pairs.sample_rate) for metric in metrics},
        "level_correction": "on" if level else "off",
        "models": models,
        "clips_enhanced": "whole",
        "device": _device_of(systems),
        **Provenance.now(packages, hashes=hashes).facts(),
    }
