"""No thread of processes that worked together outlives the work: it may abort them where Python tidies up."""

import subprocess
from pathlib import Path

import pytest

from sedistill.common.interpreters import python_command, python_environment
from tests.together import free_port

THREADS = Path("/proc/self/task")
WORK = """
from pathlib import Path
import torch
from sedistill.common.torchrun import joined

def trained():
    network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    network(torch.ones(1, 2)).sum().backward()
    return names()

def names():
    return [place.read_text() for place in Path("/proc/self/task").glob("*/comm")]

with joined():
    before = trained()
after = names()
assert any("gloo" in name for name in before), before
assert not any("gloo" in name for name in after), after
"""


@pytest.mark.skipif(not THREADS.is_dir(), reason="where threads have names that can be read is Linux's")
def test_the_threads_that_talk_end_with_the_work() -> None:
    """In processes that have imported nothing of torch before they meet, as those of the command line."""
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            python_command(WORK), env=python_environment(RANK=str(rank), LOCAL_RANK=str(rank), **place)
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
