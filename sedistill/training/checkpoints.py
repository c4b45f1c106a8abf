"""Everything a run needs to go on as if it had not stopped, in one file written whole or not at all."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from sedistill.errors import UserError
from sedistill.writing import atomic_path


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, nested dicts) and the states of torch's generators."""
    random = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    buffer = io.BytesIO()  # so that a full disk is the file system's error, not one of torch's writer
    torch.save({**state, "random": random}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; no code from the file runs. Raises UserError when it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile, OSError):
        raise UserError(
            f"the checkpoint {path} is damaged or cut short; delete it to start this run afresh."
        ) from None


def restore_random_states(state: dict[str, Any]) -> None:
    """Put torch's generators where the checkpoint left them."""
    torch.set_rng_state(state["random"]["cpu"])
    if "cuda" in state["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["random"]["cuda"])
