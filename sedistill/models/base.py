"""What every network here has in common."""

from typing import Any

import torch
from torch import Tensor, nn

from sedistill.errors import UserError
from sedistill.settings import value_text


class SpeechEnhancer(nn.Module):
    """A network from noisy waveform (B, T) to enhanced waveform (B, T), for any T >= 1.

    A subclass takes plain keyword settings and calls `super().__init__` with all of them, defaults included,
    so that a saved model does not depend on what the defaults are later.

    Attributes
        settings: keyword arguments that build the same network again.
        preset: the preset's name when the settings are exactly a preset's, else None.
        sample_rate: Hz.
        causal: whether an output sample depends on no later input than `latency_samples` allows.
        latency_samples: how much later, in samples, than its own position an output sample is known:
            output t depends on inputs up to t + latency_samples - 1. None: on the whole clip.
        se_loss: name of the speech-enhancement loss of the network's own paper.
        output_gain: measured factor from the network's output onto clean speech (level and sign).
        card: what is known about a loaded model; empty for a new one.
    """

    causal: bool
    latency_samples: int | None
    se_loss: str

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.sample_rate: int = whole_number("sample_rate", settings["sample_rate"])
        self.preset: str | None = None
        self.output_gain: float = 1.0
        self.card: dict[str, Any] = {}

    def forward(self, noisy: Tensor) -> Tensor:
        raise NotImplementedError

    def output_layer(self) -> nn.Module:
        """The last layer with parameters; negating them all negates the output."""
        raise NotImplementedError

    @torch.no_grad()
    def invert(self) -> None:
        """Turn the polarity of the output round, in place; an SI-SNR loss does not see the difference."""
        for parameter in self.output_layer().parameters():
            parameter.neg_()


WIDEST = 65_536
LOWEST_RATE = 1_000
# Of layers that each double (or quadruple) the reach, few make more frames than any clip has.
_MOST = {"blocks": 16, "chunk": 8192, "dense_layers": 16, "layers": 16, "depth": 8, "deep_layers": 32,
         "lstm_layers": 32, "repeats": 32, "sample_rate": 192_000}  # fmt: skip


def whole_number(name: str, value: Any, low: int = 1) -> int:
    """Return `value` if it is a whole number from `low` to what makes sense for it, else raise UserError."""
    low = LOWEST_RATE if name == "sample_rate" else low
    high = _MOST.get(name, WIDEST)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        text = value_text(value) if isinstance(value, int) else repr(value)
        raise UserError(f"{name} = {text}: it must be a whole number of at least {low} and at most {high}.")
    return value


def yes_or_no(name: str, value: Any) -> bool:
    """Return `value` if it is true or false, else raise UserError."""
    if not isinstance(value, bool):
        raise UserError(f"{name} = {value!r}: it must be true or false.")
    return value


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`, else raise UserError."""
    if value not in allowed:
        raise UserError(f"{name} = {value!r}: it must be one of {', '.join(allowed)}.")
    return str(value)
