"""Scoring in a process of its own, because PESQ holds the interpreter's lock and may crash.

The process is started as a plain command that imports numpy and the metrics, never torch, the caller's main
script or anything from the current folder. Jobs and answers travel as pickles over its standard input and
output. It knows nothing of Ctrl-C (a session of its own) or any other signal, and ends when its input does,
so that it cannot outlive its parent.
"""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sedistill.common.interpreters import python_command, python_environment
from sedistill.common.interruption import ignore_signals
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metrics import METRICS, Part

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Score = float | str
"""A value, or the reason why there is none."""


class ScoringStopped(Exception):  # noqa: N818 - not an error
    """The process was stopped on purpose while a score was being waited for."""


class ScoringProcess:
    """One child process that scores one clip at a time; restarted by itself when a metric crashes it."""

    def __init__(self) -> None:
        self._stopped = False
        self._start()

    def score(
        self,
        clean: NDArray[np.float32],
        estimate: NDArray[np.float32],
        sample_rate: int,
        metrics: Sequence[str],
    ) -> dict[str, Score]:
        """Every metric of one clip, by name: its value, or the reason why it has none.

        A metric that crashes the process is undefined on this clip, with that as the reason; the others
        are computed all the same. Raises ScoringStopped after `stop`.
        """
        scores: dict[str, Score] = {}
        while len(scores) < len(metrics):
            pending = list(metrics[len(scores) :])
            self._send((clean, estimate, sample_rate, pending))
            try:
                for name in pending:
                    scores[name] = self._receive()
            except (EOFError, pickle.UnpicklingError):
                crashed = metrics[len(scores)]
                scores[crashed] = f"computing it crashed (exit code {self._process.wait()})"
                self._start()
        return scores

    def stop(self) -> None:
        """End the process at once, also from another thread, whatever it is doing."""
        self._stopped = True
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        if self._stopped:
            raise ScoringStopped
        self._process = subprocess.Popen(
            python_command("from sedistill.evaluation.metric_process import serve; serve()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=python_environment(**ONE_THREAD),
            start_new_session=True,
        )
        if self._stopped:  # stop() may have come in between and killed only the process before
            self._process.kill()
            raise ScoringStopped
        self._await_ready()

    def _await_ready(self) -> None:
        try:
            self._receive()
        except EOFError:
            raise RuntimeError("the scoring process did not start; its own message is above") from None

    def _send(self, job: object) -> None:
        message = pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            self._write(message)
        except BrokenPipeError:  # killed while it had nothing to do, say for want of memory
            with suppress(BrokenPipeError):  # or Python complains of it later
                self._pipe.close()
            self._start()
            self._write(message)

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _write(self, message: bytes) -> None:
        self._pipe.write(message)
        self._pipe.flush()

    def _receive(self) -> Score:
        assert self._process.stdout is not None
        answer = pickle.load(self._process.stdout)
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve() -> None:
    """Answer jobs from standard input until it ends: one pickle a metric, in the order asked for.

    An asker that is interrupted closes its end, also in the middle of an answer.
    """
    ignore_signals()  # one sent to all processes is answered by the parent, and is no crash of a metric
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a metric's library prints must not end up between the answers
    try:
        _reply(answers, "ready")
        _answer_jobs(answers)
    except BrokenPipeError:
        os._exit(0)  # Python's own end would try to write what is left, and complain


def _answer_jobs(answers: BinaryIO) -> None:
    while True:
        try:
            clean, estimate, sample_rate, metrics = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        known_parts: dict[Part, Any] = {}
        for name in metrics:
            _reply(answers, answer_of(name, clean, estimate, sample_rate, known_parts))


def _reply(answers: BinaryIO, answer: Score | RuntimeError) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def answer_of(
    name: str,
    clean: NDArray[np.float32],
    estimate: NDArray[np.float32],
    sample_rate: int,
    known_parts: dict[Part, Any],
) -> Score | RuntimeError:
    try:
        return METRICS[name].value(clean, estimate, sample_rate, known_parts)
    except MetricUndefined as reason:
        return str(reason)
    except Exception:
        return RuntimeError(f"{name} failed in a way nobody foresaw:\n{traceback.format_exc()}")
