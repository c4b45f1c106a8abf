"""Everything a run needs to go on as if it had not stopped, in one file written whole or not at all."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sedistill.common.errors import UserError
from sedistill.common.integrity import read_sealed_zip, seal
from sedistill.common.reading import is_taken, printable, why_no_file
from sedistill.common.writing import atomic_path

LAST, BEST = Path("checkpoints", "last.ckpt"), Path("checkpoints", "best.ckpt")
"""Below a run's folder."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, nested dicts) and torch's random states, sealed."""
    buffer = io.BytesIO()  # so that a full disk is the file system's error, not one of torch's writer
    torch.save({**state, "random": random_states()}, buffer)
    buffer.write(seal(buffer.getbuffer()))
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """While what a checkpoint holds is taken back: a part that is missing or of another shape is said."""
    try:
        yield
    except KeyError as error:
        raise _misfit(path, f"it has no {error.args[0] if error.args else 'such part'}") from None
    except (TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise _misfit(path, printable(str(error), keep="").strip()[:200] or type(error).__name__) from None


def _misfit(path: Path, fault: str) -> UserError:
    return UserError(
        f"the checkpoint {path} does not fit this run ({fault}): it is of another recipe or version; put the "
        f"right one in its place, or delete {path.parent} to train afresh."
    )


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; no code from the file runs. Raises UserError when it is damaged."""
    data = read_sealed_zip(path)
    if data is not None:
        try:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception:  # a file that is no checkpoint may raise anything
            state = None
        if isinstance(state, dict):
            return state
    fault = (why_no_file(path) or "is damaged or cut short") if is_taken(path) else "is missing"
    raise UserError(
        f"the checkpoint {path} {fault}; put a good copy in its place, or delete {path.parent} to train "
        "afresh."
    )


def random_states() -> dict[str, torch.Tensor]:
    """Where torch's generators of this process are."""
    random = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    return random


def restore_random_states(state: dict[str, Any]) -> None:
    """Put torch's generators where the checkpoint left them."""
    torch.set_rng_state(state["random"]["cpu"])
    if "cuda" in state["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["random"]["cuda"])
