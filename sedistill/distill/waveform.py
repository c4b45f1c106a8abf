"""Distillation on waveforms: the teacher's output as the target, sample by sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sedistill.audio.si_snr import negative_si_snr
from sedistill.distill.signal_objective import SignalObjective, Target


@dataclass(frozen=True)
class WaveformDistance(SignalObjective):
    """A distance of two waveforms, clip by clip; to write one, write `distance`.

    target: "teacher", or "clean" for the same loss without a teacher. Raises UserError for anything else.
    """

    target: Target = "teacher"

    why_no_patches: ClassVar[str] = "it is a loss on whole waveforms and has no patches; take it out."

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        return self.distance(signals["student"], signals[self.target])

    def distance(self, estimate: Tensor, target: Tensor) -> Tensor:
        """(B, T) each -> (B,)."""
        raise NotImplementedError


class SISNRTarget(WaveformDistance):
    """Minus SI-SNR towards the teacher's output, in dB: the positive control of every comparison.

    Independent of level and sign. target: "teacher", or "clean" for the same loss without a teacher.
    """

    def distance(self, estimate: Tensor, target: Tensor) -> Tensor:
        return negative_si_snr(estimate, target)


class WaveformL1(WaveformDistance):
    """Mean over time of |student - target|: distillation of the output in the time domain.

    target: "teacher", or "clean" for the same loss without a teacher.

    >>> import torch
    >>> WaveformL1()(student=torch.tensor([[3.0, 0.0]]), teacher=torch.tensor([[0.0, 1.0]]))
    tensor(2.)
    """

    def distance(self, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target).abs().mean(dim=1)


class WaveformL2(WaveformDistance):
    """Mean over time of (student - target)^2: distillation of the output in the time domain.

    target: "teacher", or "clean" for the same loss without a teacher.

    >>> import torch
    >>> WaveformL2()(student=torch.tensor([[3.0, 0.0]]), teacher=torch.tensor([[0.0, 1.0]]))
    tensor(5.)
    """

    def distance(self, estimate: Tensor, target: Tensor) -> Tensor:
        return (estimate - target).square().mean(dim=1)
