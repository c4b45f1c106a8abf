"""Several processes that work together in a test, forked from it: nothing is imported again."""

import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from sedistill.common.errors import UserError
from sedistill.common.interruption import heard

PATIENCE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def together(work: Callable[[int], object], count: int, said: Path) -> list[int]:
    """Call `work` with its rank in so many processes; their exit codes. What they say is in said/RANK.txt."""
    fork = multiprocessing.get_context("fork")
    port = free_port()
    processes = [
        fork.Process(target=one_of_several, args=(work, rank, count, port, said)) for rank in range(count)
    ]
    shutil.rmtree(said, ignore_errors=True)
    said.mkdir()
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_SECONDS)
    hanging = [process for process in processes if process.is_alive()]
    for process in hanging:
        process.kill()
    assert not hanging, f"a process hangs; {told(said)}"
    return [process.exitcode or 0 for process in processes]


class Forked:
    """What of a Popen is used, of a process that is forked: nothing is imported again."""

    def __init__(self, work: Callable[..., object], *arguments: object) -> None:
        self.process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
        self.process.start()
        self.kill = self.process.kill

    def poll(self) -> int | None:
        return self.process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> None:
        self.process.join(timeout)
        if self.process.is_alive():
            raise subprocess.TimeoutExpired("fork", timeout or 0)

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid or 0, number)


def told(said: Path) -> dict[str, str]:
    """By its rank, what each process said."""
    return {path.stem: path.read_text() for path in sorted(said.iterdir())}


def one_sentence(said: Path) -> str:
    """The one that is in the words of one process alone, as the command line ends."""
    sentences = [line for text in told(said).values() for line in text.splitlines() if "sedistill: " in line]
    assert len(sentences) == 1, told(said)
    return sentences[0]


def one_of_several(work: Callable[[int], object], rank: int, count: int, port: int, said: Path) -> None:
    place = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with (said / f"{rank}.txt").open("w") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            with heard():  # as the command line does
                work(rank)
        except UserError as error:
            print(f"sedistill: {error}")
            sys.exit(2)
        except Exception:
            traceback.print_exc(file=file)
            sys.exit(1)
