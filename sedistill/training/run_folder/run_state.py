"""The state of a run: how far it is, saved, and taken back exactly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import TypeAdapter

from sedistill.common import ranks
from sedistill.common.errors import UserError
from sedistill.common.wording import counted
from sedistill.data.randomness import APART, philox
from sedistill.training.not_finite import NotFiniteError, refuse_state_not_finite
from sedistill.training.run_folder.checkpoints import (
    fitting,
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
)
from sedistill.training.run_folder.logs import mean_state

if TYPE_CHECKING:
    from sedistill.training.loop import Loop

PROCESSES = "processes"
"""In a checkpoint of several: what each has of its own."""


@dataclass
class Progress:
    """How far a run is. `batch` counts the batches of the current epoch that are done.

    best_loss, best_metric: of the best weights; best_metric is None where the loss alone decides.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    stage: int = 0
    best_loss: float = float("inf")
    best_metric: float | None = None
    best_epoch: int = -1
    best_step: int = 0
    seconds: float = 0.0
    finished: bool = False


def save_run(loop: "Loop") -> None:
    """Write all that a run needs to go on. Raises NotFiniteError where that is not finite."""
    averaged = loop.averaged
    state: dict[str, Any] = {
        "student": loop.network.state_dict() if averaged is None else averaged.trained_weights(),
        "optimiser": loop.optimiser.state_dict(),
        "step": loop.step.state_dict(),
        **loop.rate.state_dict(),
        "means": loop.means.state_dict(),
        "progress": asdict(loop.progress),
        "watchers": [callback.state_dict() for callback in loop.callbacks],
    }
    if averaged is not None:
        state["averaged"] = averaged.state_dict()
    if ranks.count() > 1:
        state[PROCESSES] = ranks.gathered({"random": random_states(), "means": state["means"]})
    with ranks.failing_together(NotFiniteError):
        refuse_state_not_finite(state)
    if ranks.is_first():
        save_checkpoint(loop.last_path, state)


def restore_run(loop: "Loop") -> None:
    """Take back what `save_run` wrote. Raises UserError for what does not fit, or is damaged."""
    state = ranks.from_first(lambda: _loaded(loop))
    with fitting(loop.last_path):
        loop.network.load_state_dict(state["student"])
        if loop.averaged is not None:
            loop.averaged.load_state_dict(state["averaged"])
        loop.optimiser.load_state_dict(state["optimiser"])
        loop.step.load_state_dict(state["step"])
        loop.rate.load_state_dict(state)
        loop.progress = TypeAdapter(Progress).validate_python(state["progress"])
        for callback, seen in zip(loop.callbacks, state.get("watchers", []), strict=True):
            callback.load_state_dict(seen)
        _restore_own(loop, state)


def _loaded(loop: "Loop") -> dict[str, Any]:
    state = load_checkpoint(loop.last_path)
    with fitting(loop.last_path):
        _refuse_failed(state, loop.last_path)
        if state["progress"]["best_loss"] < float("inf"):
            load_checkpoint(loop.best_path)  # a damaged one had better be known now than after a night
    return state


def _restore_own(loop: "Loop", state: Mapping[str, Any]) -> None:
    """What each process has of its own; with another number of them, all but the first begin it afresh."""
    saved = state.get(PROCESSES, [state])
    now = ranks.count()
    if len(saved) != now:
        print(
            f"note: {loop.folder} was trained by {counted(len(saved), 'process', 'processes')}, and goes on "
            f"with {now}: the clips of each step stay the same, sums are rounded otherwise."
        )
    own = saved[ranks.rank()] if len(saved) == now else saved[0]
    restore_random_states(own)
    means = own["means"]
    if len(saved) != now:
        means = mean_state([one["means"] for one in saved])
        draw_apart(loop.progress.step)
    loop.means.load_state_dict(means, loop.device)


def draw_apart(step: int) -> None:
    """From here on every process but the first has random numbers of its own."""
    if ranks.rank():
        key = torch.initial_seed(), APART, step, ranks.rank()
        torch.manual_seed(int(philox(*key).integers(2**62)))


def _refuse_failed(state: Mapping[str, Any], path: Path) -> None:
    """Raise UserError for a checkpoint with NaN, as earlier versions saved them."""
    try:
        refuse_state_not_finite(state)
    except NotFiniteError as fault:
        raise UserError(
            f"{path} holds a training that failed: {fault} is not finite; delete it to start this run afresh."
        ) from None
