"""What every network here has in common."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.argument_checks import annotations_of, check_declared, check_kind
from sedistill.common.batch_axes import refuse_swapped_batch
from sedistill.common.errors import UserError
from sedistill.models.eval_mode import evaluating
from sedistill.models.layers.memory import Memory

WIDEST = 65_536
Size = Annotated[int, Field(ge=1, le=WIDEST)]
EvenSize = Annotated[int, Field(ge=2, le=WIDEST, multiple_of=2)]
SampleRate = Annotated[int, Field(ge=1_000, le=192_000)]
ORDER_OF_AXES = "(clips, samples); give the transposed tensor"


class SpeechEnhancer(nn.Module):
    """A network from noisy waveform (B, T) to enhanced waveform (B, T), for any T >= 1.

    A subclass takes plain keyword settings, annotated with what each may be, and calls `super().__init__()`.
    What it was made with is checked and kept as `settings`, defaults included, so that a saved model does not
    depend on what the defaults are later.

    Attributes
        settings: keyword arguments that build the same network again.
        preset: the preset's name when the settings are exactly a preset's, else None.
        sample_rate: Hz.
        causal: whether an output sample depends on no later input than `latency_samples` allows.
        latency_samples: how much later, in samples, than its own position an output sample is known:
            output t depends on inputs up to t + latency_samples - 1. None: on the whole clip.
        lookahead_samples: the part of it that lies beyond the frame or window in which a sample stands.
        step_samples: how many samples a step of a stream takes and gives; None: only whole clips. A network
            with steps defines `piece`, and `forward` follows from it.
        se_loss: name of the speech-enhancement loss of the network's own paper.
        output_gain: measured factor from the network's output onto clean speech (level and sign).
        card: what is known about a loaded model; empty for a new one.
    """

    causal: bool
    latency_samples: int | None
    lookahead_samples: int = 0
    step_samples: int | None = None
    se_loss: str

    settings: dict[str, Any]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "__init__" in vars(cls):
            cls.__init__ = _keeping_settings(cls.__init__)  # type: ignore[method-assign]
        if "forward" in vars(cls):
            cls.forward = _refusing_swapped(cls.forward)  # type: ignore[method-assign]

    def __init__(self) -> None:
        super().__init__()
        self.settings = vars(self).get("settings", {})
        self.sample_rate: int = self.settings.get("sample_rate", 16_000)
        self.preset: str | None = None
        self.output_gain: float = 1.0
        self.card: dict[str, Any] = {}

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T). Raises ValueError for (T, channels)."""
        refuse_swapped_batch(noisy, ORDER_OF_AXES)
        assert self.step_samples is not None
        length, delay = noisy.shape[1], self.delay_samples
        padded = in_whole_steps(noisy, delay, self.step_samples)
        return self.piece(padded, Memory())[:, delay : delay + length]

    @property
    def latency_ms(self) -> float | None:
        """How long an output sample waits for input behind it, to 1 µs; None: for the whole clip."""
        return None if self.latency_samples is None else self._ms(self.latency_samples)

    @property
    def lookahead_ms(self) -> float | None:
        """Of `latency_ms`, what lies beyond a sample's own frame or window; None: the whole clip."""
        return None if self.latency_samples is None else self._ms(self.lookahead_samples)

    def _ms(self, samples: int) -> float:
        return round(1000 * samples / self.sample_rate, 3)

    @property
    def delay_samples(self) -> int:
        """How late what a step gives is, against what it took."""
        assert self.latency_samples is not None
        assert self.step_samples is not None
        return self.latency_samples - self.step_samples

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        """The next steps of a clip, (B, n step_samples), to as many samples, `delay_samples` late."""
        raise NotImplementedError

    def step(self, noisy: Tensor, states: Sequence[Tensor], beyond: int = 0) -> tuple[Tensor, list[Tensor]]:
        """`piece` as a pure function of the input and the states after the step before.

        `beyond`: how many samples at the end of the input lie behind the clip's end.
        """
        memory = Memory(states, beyond)
        return self.piece(noisy, memory), memory.left

    def first_states(self, batch: int) -> list[Tensor]:
        """The states before a clip: of every layer that looks back zeros (B, ...)."""
        assert self.step_samples is not None
        memory, like = Memory(), next(self.parameters(), torch.empty(0))
        with evaluating(self):
            self.piece(like.new_zeros(batch, self.step_samples), memory)
        return [torch.zeros_like(state) for state in memory.left]

    def output_layer(self) -> nn.Module:
        """The last layer with parameters."""
        raise NotImplementedError

    def sign_parameters(self) -> list[nn.Parameter]:
        """Parameters that, all negated, negate the output: those of the last layer, if not others."""
        return list(self.output_layer().parameters())

    @torch.no_grad()
    def invert(self) -> None:
        """Turn the polarity of the output round, in place; an SI-SNR loss does not see the difference."""
        for parameter in self.sign_parameters():
            parameter.neg_()


def check_network(model: object) -> None:
    """Raises UserError for a network of no kind known here."""
    check_kind("model", model, SpeechEnhancer, "a network that derives from sedistill.SpeechEnhancer")


def in_whole_steps(noisy: Tensor, delay: int, step: int) -> Tensor:
    """A clip (B, T) with `delay` zeros behind it and as many more as make whole steps of it."""
    length = noisy.shape[1]
    steps = (length + delay + step - 1) // step  # in a form that exporters follow
    return F.pad(noisy, (0, step * steps - length))


def check_odd(name: str, value: int) -> None:
    """Raises UserError unless a kernel's size is odd."""
    if value % 2 == 0:
        raise UserError(f"{name} = {value}: it must be odd, so that output and input have the same length.")


def _keeping_settings(make: Callable[..., None]) -> Callable[..., None]:
    """A constructor that checks its arguments by their annotations, and keeps them."""
    signature = inspect.signature(make)

    @functools.wraps(make)
    def made(self: SpeechEnhancer, *values: Any, **named: Any) -> None:
        if "settings" not in vars(self):  # else those of a class that derives from this one are kept already
            bound = signature.bind(self, *values, **named)
            bound.apply_defaults()
            _, *given = bound.arguments.items()
            settings = {name: list(value) if isinstance(value, tuple) else value for name, value in given}
            annotations = annotations_of(make)
            for name, value in settings.items():
                check_declared(name, value, annotations.get(name, Any))
            _refuse_too_large(type(self), settings)
            object.__setattr__(self, "settings", settings)
        make(self, *values, **named)

    return made


def _refusing_swapped(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(forward)
    def checked(self: SpeechEnhancer, *given: Any, **named: Any) -> Tensor:
        for noisy in [*given, *named.values()][:1]:  # whatever it is called there
            refuse_swapped_batch(noisy, ORDER_OF_AXES)
        return forward(self, *given, **named)

    return checked


MOST_PARAMETERS = 500_000_000
USUAL_WIDTH, USUAL_DEPTH, DEPTHS = 1024, 8, ("depth", "blocks", "layers")


def _refuse_too_large(network: type[nn.Module], settings: dict[str, Any]) -> None:
    """Raise UserError before memory is taken, where settings are so large that the network may be."""
    given = {key: value for key, value in settings.items() if key != "sample_rate"}
    sizes = [size for value in given.values() for size in (value if isinstance(value, list) else [value])]
    wide = any(isinstance(size, int) and size > USUAL_WIDTH for size in sizes)
    deep = any(given.get(key, 0) > USUAL_DEPTH for key in DEPTHS)
    if not (wide or deep) or torch.empty(0).is_meta:
        return
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            count = sum(parameter.numel() for parameter in network(**settings).parameters())
    except (RuntimeError, ValueError, OverflowError, TypeError, MemoryError):
        count = None  # a size that is no number of elements any more
    if count is None or count > MOST_PARAMETERS:
        told = "more than can be counted" if count is None else f"{count:,}"
        raise UserError(
            f"{network.__name__} with these settings would have {told} parameters, more than "
            f"{MOST_PARAMETERS:,}; make it smaller."
        )
