"""`hardware.devices`: one command starts the processes of a training, and ends with them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.common.interpreters import module_command, python_environment
from sedistill.training.processes import started
from sedistill.training.run import train
from tests.together import together, told
from tests.training.runs import same, weights

Write = Callable[..., Path]


def test_a_killed_process_is_started_again_and_ctrl_c_goes_on(write_recipe: Write, world: Path) -> None:
    """A process is killed outright, then Ctrl-C, then two go on, to the bits of an uninterrupted run."""
    recipe = write_recipe(optimiser={"batch_size": 2, "max_epochs": 12, "stop_after": 12})
    log = world / "parts" / "metrics.csv"

    def reach(step: int) -> None:
        while not log.exists() or not any(row.startswith(f"{step},") for row in log.read_text().splitlines()):
            assert command.poll() is None, command.communicate()[0]
            time.sleep(0.02)

    words = ["train", str(recipe), "hardware.devices=2", "logging.checkpoint_minutes=0.01"]
    command = subprocess.Popen(
        module_command("sedistill", *words, "--output", str(world / "parts")), env=python_environment(),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    reach(4)
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[1]), signal.SIGKILL)
    reach(20)
    command.send_signal(signal.SIGINT)
    said, _ = command.communicate(timeout=120)
    assert command.returncode == 130, said
    assert said.count("ended from outside (SIGKILL); all of them begin again") == 1, said
    assert said.count("sedistill: interrupted") == 1, said
    for output in ("parts", "whole"):
        codes = together(lambda rank: train(recipe, output=world / output), 2, world / "said")  # noqa: B023
        assert codes == [0, 0], told(world / "said")
    assert same(weights(world / "parts" / "student"), weights(world / "whole" / "student"))


def test_too_many_devices_are_refused(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["hardware.devices=2", "hardware.device=auto"]
    monkeypatch.setattr(started, "cuda_devices", lambda: ["0"])
    with pytest.raises(UserError, match=r"hardware.devices = 2: torch finds 1 CUDA device here; lower it"):
        train(write_recipe(), keys, output=world / "out")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(UserError, match=r"hardware.devices = 2, but 4 processes were started"):
        train(write_recipe(), keys, output=world / "out")
    assert not (world / "out").exists()
