"""Processes killed outright wherever a run may be: started again, it ends with the bits of one left alone.

benchmarks/twenty_kills.py does the same at random moments, by torchrun.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sedistill.common import ranks
from sedistill.training import loop, validation
from sedistill.training.run import train
from sedistill.training.run_folder import checkpoints
from tests.together import together, told
from tests.training.runs import same, weights

Write = Callable[..., Path]


def killed(*_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def killed_before_it_is_in_place(path: Path) -> Iterator[Path]:
    """A file that is written whole and does not get its name."""
    with atomic_path(path) as temporary:
        yield temporary
        killed()


def killed_after(step: Callable[..., str], number: int) -> Callable[..., str]:
    def step_then(self: loop.Loop, batch: Any) -> str:
        note = step(self, batch)
        return killed() if self.progress.step == number else note

    return step_then


atomic_path = checkpoints.atomic_path
KILLS: list[tuple[int, Any, str, Any]] = [
    (0, ranks, "gathered_by_first", killed),  # in the first round of the teacher's outputs
    (1, ranks, "gathered_by_first", killed),
    (1, loop.Loop, "_train_on", killed_after(loop.Loop._train_on, 2)),
    (0, validation.Validation, "_fault_of", killed),
    (0, checkpoints, "atomic_path", killed_before_it_is_in_place),
    (0, loop.Loop, "_train_on", killed_after(loop.Loop._train_on, 5)),
]


def test_a_run_goes_on_after_kills_in_every_phase(write_recipe: Write, world: Path) -> None:
    objectives = [{"loss": "l2", "keep": 0.5, "score": "random"}]
    recipe = write_recipe(
        teacher=str(world / "teacher"), objectives=objectives, logging={"checkpoint_minutes": 1e-6},
        optimiser={"max_epochs": 2},
    )  # fmt: skip

    def work(output: str, kill: tuple[int, Any, str, Any] | None = None) -> list[int]:
        def one(rank: int) -> None:
            with pytest.MonkeyPatch.context() as patch:
                if kill is not None and rank == kill[0]:
                    patch.setattr(*kill[1:])
                train(recipe, [f"teacher_use.cache_folder={world / output}-kept"], output=world / output)

        return together(one, 2, world / "said")

    for kill in KILLS:
        codes = work("parts", kill)
        assert codes[kill[0]] == -signal.SIGKILL, (kill, told(world / "said"))
        assert codes[1 - kill[0]] == 2, (kill, told(world / "said"))
    for output in ("parts", "whole"):
        assert work(output) == [0, 0], told(world / "said")
    assert same(weights(world / "parts" / "student"), weights(world / "whole" / "student"))
