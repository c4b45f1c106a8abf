"""Trainings side by side, with processes that only pretend to train."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml

from sedistill.common import child_processes, interruption
from sedistill.common.devices import cuda_devices
from sedistill.workflows import jobs
from sedistill.workflows.jobs import Run, Trainings, is_finished

TEACHER, A, B = Run("p/teacher", 0), Run("p/a", 0), Run("p/b", 1)
CARD = {
    "class": "GTCRN", "settings": {}, "metrics": {"validation_loss": -3.5},
    "training": {"best_step": 4, "steps": 5},
}  # fmt: skip
SAVES = f"""
import pathlib, sys, time
place = pathlib.Path(sys.argv[1])
open("order", "a").write(f"+{{sys.argv[2]}} ")
time.sleep(float(sys.argv[3]))
place.mkdir(parents=True)
(place / "model.safetensors").write_bytes(b"")
(place / "card.yaml").write_text({yaml.safe_dump(CARD)!r})
open("order", "a").write(f"-{{sys.argv[2]}} ")
"""
FAILS = "import sys; print('much ado'); print('sedistill: the disk is full.'); print(); sys.exit(2)"
STOPS = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path("stopped").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("begun").touch()
time.sleep(60)
"""


def trainings(
    output: Path, commands: dict[Run, Sequence[str]], waits: dict[Run, list[Run]], count: int = 2
) -> Trainings:
    return Trainings(output, count, lambda run: commands[run], lambda run: waits.get(run, []), threads=1)


def saving(run: Run, seconds: float = 0.0) -> list[str]:
    return [sys.executable, "-c", SAVES, str(run.student), run.name, str(seconds)]


def test_each_place_sees_its_own_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four that are left to us, by two trainings at a time, of which the third takes a free place."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,5,7")
    sees = "import os; open('seen', 'a').write(os.environ['CUDA_VISIBLE_DEVICES'] + ' ')\n"
    runs = {Run("a", 0): 3.0, Run("b", 0): 0.0, Run("c", 0): 0.0}
    commands = {
        run: [sys.executable, "-c", sees + SAVES, str(run.student), run.name, str(seconds)]
        for run, seconds in runs.items()
    }
    trainings(tmp_path, commands, {}).train(list(runs))
    assert sorted((tmp_path / "seen").read_text().split()) == ["2,5", "3,7", "3,7"]
    assert jobs.jobs_by_devices() == 4
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert cuda_devices() == ["0", "1", "2", "3"]


def test_students_wait_for_their_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {A: saving(A), TEACHER: saving(TEACHER, 0.3), B: saving(B)}
    work = trainings(tmp_path, commands, {A: [TEACHER], B: [TEACHER]})
    work.train([A, B, TEACHER])
    order = (tmp_path / "order").read_text().split()
    assert order[:2] == ["+p/teacher", "-p/teacher"]
    assert sorted(order[2:]) == ["+p/a", "+p/b", "-p/a", "-p/b"]
    assert not work.failed
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("[1/3] p/teacher, seed 0: validation loss -3.500 at step 4 of 5, ")
    assert "left" in said[0]
    assert "left" not in said[2]


def test_what_is_finished_is_left_alone(tmp_path: Path) -> None:
    trainings(tmp_path, {A: saving(A)}, {}).train([A])
    assert is_finished(tmp_path, A)
    trainings(tmp_path, {A: [sys.executable, "-c", FAILS]}, {}).train([A])


def test_a_failure_stops_those_that_need_it_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {TEACHER: [sys.executable, "-c", FAILS], B: saving(B)}
    work = trainings(tmp_path, commands, {A: [TEACHER]}, count=1)
    work.train([TEACHER, A, B])
    log = tmp_path / "logs" / "p" / "teacher" / "seed-0.log"
    assert work.failed == {TEACHER: f"the disk is full. ({log})", A: "it needs p/teacher, seed 0"}
    assert is_finished(tmp_path, B)
    assert "much ado" in log.read_text()
    assert "failed: the disk is full" in capsys.readouterr().out


def test_a_run_that_ends_without_a_student_failed(tmp_path: Path) -> None:
    work = trainings(tmp_path, {A: [sys.executable, "-c", ""]}, {})
    work.train([A])
    assert "it said nothing" in work.failed[A]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_trainings(tmp_path: Path, how: signal.Signals) -> None:
    work = trainings(tmp_path, {A: [sys.executable, "-c", STOPS]}, {})

    def interrupt() -> None:
        wait_for(tmp_path / "begun")
        os.kill(os.getpid(), how)

    threading.Thread(target=interrupt).start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        work.train([A])
    assert (tmp_path / "stopped").exists(), "it had its say"
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_processes, "PATIENCE_SECONDS", 0.2)
    deaf = STOPS.replace("signal.SIGTERM, stop", "signal.SIGTERM, signal.SIG_IGN")
    work = trainings(tmp_path, {A: [sys.executable, "-c", deaf]}, {})

    def interrupted(active: list[jobs.Training]) -> None:
        if (tmp_path / "begun").exists():
            started.extend(active)
            raise KeyboardInterrupt

    started: list[jobs.Training] = []
    monkeypatch.setattr(work, "_collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.train([A])
    assert started[0].process.returncode == -signal.SIGKILL


def test_a_second_ctrl_c_kills_the_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "TOGETHER_SECONDS", 0)
    slow = STOPS.replace("sys.exit(130)", "time.sleep(60)")
    work = trainings(tmp_path, {A: [sys.executable, "-c", slow]}, {})
    started: list[jobs.Training] = []
    start = work._start
    monkeypatch.setattr(work, "_start", lambda *given: started.append(start(*given)) or started[0])

    def interrupt() -> None:
        for sign in ("begun", "stopped"):
            wait_for(tmp_path / sign)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        work.train([A])
    assert started[0].process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of it")
def test_trainings_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent = f"""
import sys
from pathlib import Path
from sedistill.workflows.jobs import Trainings
from sedistill.workflows.jobs import Run
command = [sys.executable, "-c", {STOPS!r}]
Trainings(Path({str(tmp_path)!r}), 1, lambda run: command, lambda run: [], 1).train([Run("p/a", 0)])
"""
    process = subprocess.Popen([sys.executable, "-c", parent])
    wait_for(tmp_path / "begun")
    process.kill()
    process.wait()
    wait_for(tmp_path / "stopped")


def wait_for(path: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come about"
        time.sleep(0.02)
