"""`hardware.devices`: one command starts the processes of a training, and ends with them."""

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.training.processes import started
from sedistill.training.run import train
from tests.together import Forked, one_of_several, together, told
from tests.training.runs import same, weights

Write = Callable[..., Path]


def test_a_killed_process_is_started_again_and_ctrl_c_goes_on(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process is killed outright, then Ctrl-C, then two go on, to the bits of an uninterrupted run."""
    recipe, said = (
        write_recipe(optimiser={"batch_size": 2, "max_epochs": 8, "stop_after": 8}),
        world / "said",
    )
    keys = ["hardware.devices=2", "logging.checkpoint_minutes=0.005"]
    log, processes = world / "parts" / "metrics.csv", []
    said.mkdir()

    def start(rank: int, count: int, port: int, words: list[str]) -> Forked:
        assert words == [str(recipe), *keys, "--output", str(world / "parts")]
        work = partial(train, recipe, keys, world / "parts")
        processes.append(Forked(one_of_several, lambda _: work(), rank, count, port, said))
        return processes[-1]

    def reach(step: int) -> None:
        while not log.exists() or f"\n{step}," not in log.read_text():
            time.sleep(0.01)

    def interfere() -> None:
        reach(4)
        processes[1].send_signal(signal.SIGKILL)
        reach(12)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(started, "_start", start)
    threading.Thread(target=interfere, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        train(recipe, keys, output=world / "parts")
    assert ended.value.code == 130
    assert len(processes) == 4
    assert "ended from outside (SIGKILL); all of them begin again" in capsys.readouterr().out
    for output in ("parts", "whole"):
        codes = together(partial(_train, recipe, world / output), 2, said)
        assert codes == [0, 0], told(said)
        assert ("resuming at step" in told(said)["0"]) == (output == "parts")
    assert same(weights(world / "parts" / "student"), weights(world / "whole" / "student"))


def _train(recipe: Path, output: Path, rank: int) -> Path:
    return train(recipe, output=output)


def test_the_command_starts_them(
    write_recipe: Write, world: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real; one of them says what would be done, and what is wrong."""
    train(write_recipe(), ["hardware.devices=2"], output=world / "out", plan_only=True)
    assert "2, each with 2 clips of a step" in " ".join(capfd.readouterr().out.split())
    monkeypatch.setattr(started, "cuda_devices", lambda: ["0"])
    keys = ["hardware.devices=2", "hardware.device=auto"]
    with pytest.raises(UserError, match=r"hardware.devices = 2: torch finds 1 CUDA device here; lower it"):
        train(write_recipe(), keys, output=world / "out")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(UserError, match=r"hardware.devices = 2, but 4 processes were started"):
        train(write_recipe(), keys, output=world / "out")
    assert not (world / "out").exists()


def test_more_processes_than_the_cores_can_share_are_never_started(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for a plan either: a thousand of them take all memory."""
    monkeypatch.setattr(started, "cuda_devices", list)
    monkeypatch.setattr(started, "usable_cores", lambda: 2)
    monkeypatch.setattr(started, "_run", lambda *_: pytest.fail("processes were started"))
    for device in ("cpu", "auto"):
        with pytest.raises(UserError, match=r"hardware.devices = 9: .* 2 cores can be shared by 8 at most"):
            train(write_recipe(), ["hardware.devices=9", f"hardware.device={device}"], plan_only=True)
