"""The processes of a training on this machine, started by the command itself, as torchrun would."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from sedistill.common.child_processes import begin, end
from sedistill.common.devices import cuda_devices, usable_cores
from sedistill.common.errors import UserError
from sedistill.common.interpreters import module_command, python_environment
from sedistill.common.interruption import came, heard, uninterrupted
from sedistill.common.wording import counted

AGAIN = 3
"""So often all are started again after one was killed."""
A_CORE = 4
"""So many processes may share a core; more need memory and bring nothing."""


def train_in_processes(count: int, device: str, words: Sequence[str]) -> None:
    """`sedistill train` with these words in so many processes, until all have ended.

    device: as `hardware.device`. Raises UserError where there are too few GPUs or cores, and SystemExit with
    their code where the processes have failed, or were interrupted, and told so.
    """
    _refuse_too_many(count, device)
    for again in range(AGAIN + 1):
        codes = _run(count, words)
        killed = [code for code in codes if code < 0]
        if not killed or again == AGAIN:
            break
        print(
            f"a process was ended from outside ({signal.Signals(-killed[0]).name}); all of them begin again "
            "at the last checkpoint.",
            flush=True,
        )
    if any(codes):
        sys.exit(max(1, *codes))


def _refuse_too_many(count: int, device: str) -> None:
    found = len(cuda_devices()) if device != "cpu" else 0
    if 0 < found < count:
        raise UserError(
            f"hardware.devices = {count}: torch finds {counted(found, 'CUDA device')} here; lower it, or set "
            "hardware.device=cpu."
        )
    cores = usable_cores()
    if not found and device != "cuda" and count > A_CORE * cores:
        raise UserError(
            f"hardware.devices = {count}: on the CPU each is a process, and {counted(cores, 'core')} can be "
            f"shared by {A_CORE * cores} at most; lower it."
        )


def _run(count: int, words: Sequence[str]) -> list[int]:
    """The exit codes of all processes, below 0 for a signal."""
    processes: list[subprocess.Popen[bytes]] = []
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    try:
        with heard():
            for rank in range(count):
                with uninterrupted():
                    processes.append(_start(rank, count, port, words))
            while None in (codes := [process.poll() for process in processes]) and not any(codes):
                time.sleep(0.05)
    except KeyboardInterrupt:
        number = came() or signal.SIGINT
        end(processes, number)
        sys.exit(128 + number)
    finally:
        end(processes)
    return [process.returncode for process in processes]


def _start(rank: int, count: int, port: int, words: Sequence[str]) -> "subprocess.Popen[bytes]":
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    numbers = {name: str(number) for name, number in {**place, "MASTER_PORT": port}.items()}
    return begin(
        module_command("sedistill", "train", *words),
        # Where one is killed torch prints long traces from C++; who has lost whom is told in a sentence.
        env={"TORCH_CPP_LOG_LEVEL": "ERROR"} | python_environment(MASTER_ADDR="127.0.0.1", **numbers),
    )
