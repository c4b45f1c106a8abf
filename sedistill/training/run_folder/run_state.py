"""The state of a run: how far it is, saved, and taken back exactly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from sedistill.common.errors import UserError
from sedistill.training.not_finite import NotFiniteError, refuse_state_not_finite
from sedistill.training.run_folder.checkpoints import (
    fitting,
    load_checkpoint,
    restore_random_states,
    save_checkpoint,
)

if TYPE_CHECKING:
    from sedistill.training.loop import Loop


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
    refuse_state_not_finite(state)
    save_checkpoint(loop.last_path, state)


def restore_run(loop: "Loop") -> None:
    """Take back what `save_run` wrote. Raises UserError for what does not fit, or is damaged."""
    state = load_checkpoint(loop.last_path)
    with fitting(loop.last_path):
        _refuse_failed(state, loop.last_path)
        if state["progress"]["best_loss"] < float("inf"):
            load_checkpoint(loop.best_path)  # a damaged one had better be known now than after a night
        loop.network.load_state_dict(state["student"])
        if loop.averaged is not None:
            loop.averaged.load_state_dict(state["averaged"])
        loop.optimiser.load_state_dict(state["optimiser"])
        loop.step.load_state_dict(state["step"])
        loop.rate.load_state_dict(state)
        loop.means.load_state_dict(state["means"], loop.device)
        loop.progress = TypeAdapter(Progress).validate_python(state["progress"])
        for callback, seen in zip(loop.callbacks, state.get("watchers", []), strict=True):
            callback.load_state_dict(seen)
        restore_random_states(state)


def _refuse_failed(state: Mapping[str, Any], path: Path) -> None:
    """Raise UserError for a checkpoint with NaN, as earlier versions saved them."""
    try:
        refuse_state_not_finite(state)
    except NotFiniteError as fault:
        raise UserError(
            f"{path} holds a training that failed: {fault} is not finite; delete it to start this run afresh."
        ) from None
