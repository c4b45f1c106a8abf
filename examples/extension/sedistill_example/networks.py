"""A network."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill import SpeechEnhancer


class GruMask(SpeechEnhancer):
    """A mask on frames of the waveform from a GRU. Causal, with the latency of a frame.

    Arguments
        units: of the GRU.
        frame: samples.
        sample_rate: Hz.
    """

    causal = True
    se_loss = "si_snr"  # a name that sedistill knows, or the path of a function as in enhancement_losses.py

    def __init__(
        self,
        units: Annotated[int, Field(ge=1, le=1024)] = 16,
        frame: Annotated[int, Field(ge=2, le=4096)] = 64,
        sample_rate: int = 16_000,
    ) -> None:
        super().__init__()
        self.frame = self.latency_samples = frame
        self.recurrent = nn.GRU(frame, units, batch_first=True)
        self.mask = nn.Linear(units, frame)
        self.output = nn.Linear(frame, frame, bias=False)
        nn.init.eye_(self.output.weight)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        length = noisy.shape[1]
        frames = F.pad(noisy, (0, -length % self.frame)).unflatten(1, (-1, self.frame))
        mask = torch.sigmoid(self.mask(self.recurrent(frames)[0]))
        return self.output(mask * frames).flatten(1)[:, :length]

    def output_layer(self) -> nn.Module:
        return self.output
