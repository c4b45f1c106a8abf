"""Jobs in processes of their own, and how busy the machine is beside them."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.interpreters import python_command, python_environment
from sedistill.workflows.benchmarking.timed_job import Costs, Job

PROGRAM = "from sedistill.workflows.benchmarking.timed_job import main; main()"
BUSY_LOAD = 0.5
"""Processes that ran on the average of a minute, from which on the clock tells of them, too."""
MUCH_WAITING = 0.1


def costs_in_process(job: Job) -> Costs:
    """Run a job in a fresh process. Raises UserError with what it says, or how it ended."""
    threads = str(job.threads)
    process = subprocess.Popen(
        python_command(PROGRAM),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=python_environment(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads),
        start_new_session=True,
        text=True,
    )
    try:
        answer, said = process.communicate(json.dumps(asdict(job)))
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        *_, last = said.strip().splitlines() or ["it says nothing"]
        raise UserError(f"its process ended with exit code {process.returncode} ({last}).")
    found = json.loads(answer)
    if "error" in found:
        raise UserError(found["error"])
    return Costs(**found["costs"])


def load_text() -> str | None:
    """A warning where other processes are at work; None where none are, or where nobody counts them."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load < BUSY_LOAD:
        return None
    return (
        f"the machine is busy: {load:.1f} processes ran on its {usable_cores()} cores in the last minute; "
        "times will be too high."
    )


def waiting_text(costs: Sequence[Costs]) -> str | None:
    """A warning where processes waited for a core; None where they did not."""
    most = max((one.waited for one in costs), default=0.0)
    if most < MUCH_WAITING:
        return None
    return (
        f"the machine was busy: up to {100 * most:.0f} % of the time a process waited for a core. That is in "
        "all times of steps and of several threads; the others are CPU time, and suffer less."
    )
