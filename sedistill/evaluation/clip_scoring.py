"""Every system on every clip of a set, in parallel.

Every worker is a thread that enhances a clip with one torch thread (torch lets go of the interpreter's lock)
and hands it to a scoring process of its own. So as many clips are in the works as there are workers, the
cores are busy whichever of the two takes longer, and the numbers do not depend on the number of workers.
"""

import contextlib
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.audio import levels
from sedistill.common import ranks
from sedistill.common.errors import UserError
from sedistill.common.progress import ProgressBar
from sedistill.common.provenance import Provenance
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.metric_process import Score, ScoringProcess
from sedistill.evaluation.metrics import METRICS, Metric, given_and_reference
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.evaluation.systems import System
from sedistill.inference.enhancing.arrays import refuse_not_finite


def score_set(
    name: str, pairs: FixedSet, systems: Sequence[System], metrics: Sequence[Metric], workers: int
) -> SetScores:
    """Score every system on every clip of a set; processes that work together share the clips."""
    jobs = [(system, index) for system in systems for index in range(len(pairs))]
    metric_names = [metric.name for metric in metrics]

    def score_job(position: int, process: ScoringProcess) -> ClipScore:
        system, index = jobs[own[position]]
        return score_clip(system, pairs, index, metric_names, process)

    own = ranks.own_share(len(jobs))
    rows = in_parallel(score_job, len(own), workers, f"scoring {len(systems)} systems on {name}")
    of_all = ranks.in_turn(ranks.gathered(rows))
    return SetScores(name, metric_names, of_all, facts_about(pairs, systems, metrics))


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
    with contextlib.ExitStack() as processes, _one_torch_thread():
        idle: queue.SimpleQueue[ScoringProcess] = queue.SimpleQueue()
        for _ in range(min(workers, count)):
            process = ScoringProcess()
            processes.callback(process.stop)
            idle.put(process)

        def run(position: int) -> ClipScore:
            process = idle.get()
            try:
                return job(position, process)
            finally:
                idle.put(process)

        with ThreadPoolExecutor(idle.qsize()) as threads, ProgressBar(description, count, "clips") as bar:
            futures = [threads.submit(run, position) for position in range(count)]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.advance()
                    ranks.heed_others()
            except BaseException:
                for future in futures:
                    future.cancel()
                processes.close()
                raise
            return [future.result() for future in futures]


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
    networks = [system.network for system in systems if system.network is not None]
    devices = {parameter.device.type for network in networks for parameter in network.parameters()}
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
        "device": ", ".join(sorted(devices)) or "cpu",
        **Provenance.now(packages, hashes=hashes).facts(),
    }
