"""How strongly an objective pulls beside the student's own loss."""

import pytest
import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.distill.waveform import WaveformL2
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES
from sedistill.training.tasks import TEACHER, Task
from sedistill.workflows.advising.pull import pull_of


class Gain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.8))
        self.offset = nn.Parameter(torch.tensor(0.1))

    def forward(self, noisy: Tensor) -> Tensor:
        return self.gain * noisy + self.offset * noisy.roll(1, dims=1)


def batch(speech: float) -> dict[str, Tensor]:
    noise, clean = torch.randn(2, 2, 800, generator=torch.Generator().manual_seed(0))
    return {
        "noisy": speech * clean + noise,
        "clean": speech * clean,
        TEACHER: 0.9 * speech * clean + 0.1 * noise,
    }


def test_batches_without_speech_say_nothing() -> None:
    student = Gain()
    task = Task(student, ENHANCEMENT_LOSSES["si_snr"], 1.0, {"l2": (1.0, WaveformL2())}, 1.0, {}, None)
    parameters = list(student.parameters())
    alone = pull_of(task, parameters, [batch(1.0)])
    assert alone.ratio > 0
    assert pull_of(task, parameters, [batch(0.0), batch(1.0)]) == alone
    with pytest.raises(UserError, match="learns nothing from this sample"):
        pull_of(task, parameters, [batch(0.0)])
