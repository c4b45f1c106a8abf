"""Which device computes."""

import torch

from sedistill.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto" is cuda where there is one. Raises UserError."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device = {name}: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device = cuda: torch finds no CUDA device here; use auto or cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
