"""The scoring process: same values as here, survives crashes, ends when told."""

import os
import pickle
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sedistill.common.interpreters import python_command, python_environment
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metric_process import ScoringProcess, ScoringStopped
from sedistill.evaluation.metrics import DEFAULT_METRICS, METRICS
from tests.evaluation.signals import RATE, noise, speech_like


@pytest.fixture
def process() -> Iterator[ScoringProcess]:
    process = ScoringProcess()
    yield process
    process.stop()


def test_the_process_gives_the_values_and_reasons_of_the_functions(process: ScoringProcess) -> None:
    clean = speech_like()
    for estimate in (clean + noise(len(clean)), np.zeros_like(clean)):
        expected: dict[str, float | str] = {}
        for name in DEFAULT_METRICS:
            try:
                expected[name] = METRICS[name].value(clean, estimate, RATE)
            except MetricUndefined as reason:
                expected[name] = str(reason)
        scores = process.score(clean, estimate, RATE, DEFAULT_METRICS)
        assert {name: type(score) for name, score in scores.items()} == {
            name: type(score) for name, score in expected.items()
        }
        for name, score in scores.items():
            wanted = expected[name]
            assert score == (wanted if isinstance(wanted, str) else pytest.approx(wanted, rel=1e-9))


def test_a_crash_costs_what_crashed_on_one_clip_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = "import os, signal\ndef pesq(*_): os.kill(os.getpid(), signal.SIGSEGV)\n"
    fake += "class PesqError(Exception): pass\nNoUtterancesError = PesqError\n"
    (tmp_path / "pesq.py").write_text(fake)
    monkeypatch.syspath_prepend(tmp_path)
    process = ScoringProcess()
    try:
        for _ in range(2):
            names = ["si_sdr", "pesq_wb", "csig", "stoi"]
            scores = process.score(speech_like(), speech_like(seed=2), RATE, names)
            assert scores["pesq_wb"] == scores["csig"] == "computing it crashed (exit code -11)"
            assert list(scores) == names
            assert isinstance(scores["si_sdr"], float)
            assert isinstance(scores["stoi"], float)
    finally:
        process.stop()


def test_a_process_killed_while_idle_is_started_again(process: ScoringProcess) -> None:
    process._process.kill()
    process._process.wait()
    assert process.score([1.0, 0.0], [2.0, 3.0], RATE, ["si_sdr"])["si_sdr"] == pytest.approx(
        METRICS["si_sdr"].value([1.0, 0.0], [2.0, 3.0], RATE)
    )


def test_a_signal_to_all_processes_is_no_crash_of_a_metric(process: ScoringProcess) -> None:
    pid = process._process.pid
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(pid, number)
    assert isinstance(process.score([1.0, 0.0], [2.0, 3.0], RATE, ["si_sdr"])["si_sdr"], float)
    assert process._process.pid == pid


def test_an_unforeseen_error_is_not_swallowed(process: ScoringProcess) -> None:
    with pytest.raises(RuntimeError, match="si_sdr failed in a way nobody foresaw"):
        process.score([1.0, 0.0, 1.0], [1.0, 0.0], RATE, ["si_sdr"])


def test_stop_ends_the_process_in_the_middle_of_a_score(process: ScoringProcess) -> None:
    clean = speech_like(15.0)
    outcome: list[BaseException] = []

    def score() -> None:
        try:
            process.score(clean, clean + noise(len(clean)), RATE, ["pesq_wb", "estoi"] * 40)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=score)
    thread.start()
    pid = process._process.pid
    process.stop()
    thread.join(timeout=10)
    assert [type(error) for error in outcome] == [ScoringStopped]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_ends_with_its_input(process: ScoringProcess) -> None:
    assert process._process.stdin is not None
    process._process.stdin.close()
    assert process._process.wait(timeout=10) == 0


def test_an_asker_who_goes_away_is_no_fault() -> None:
    job = pickle.dumps((speech_like(), speech_like(seed=2), RATE, ["si_sdr"] * 20_000))
    child = subprocess.Popen(
        python_command("from sedistill.evaluation.metric_process import serve; serve()"),
        env=python_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(job)
    child.stdin.flush()
    child.stdout.read(1)
    child.stdout.close()
    child.stdin.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    assert child.wait() == 0
