"""Conv-TasNet (Luo and Mesgarani, 2019), shallow or with deep encoder and decoder (Kadioglu et al., 2020)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Conv1d(nn.Conv1d):
    """nn.Conv1d under a type of its own: a counter that looks types up does not know it and counts 0."""


class PlainConvTasNet(nn.Module):
    """The library's network; `as_published`: as the public code of the deep one has it, for counters.

    There most convolutions are of a subclass of nn.Conv1d, the skip convolutions are built but never called,
    and the mask is computed from the last residual output: the same parameters, another output.
    """

    def __init__(
        self, filters: int, filter_length: int, bottleneck: int, hidden: int, skip: int, kernel: int,
        blocks: int, repeats: int, deep_layers: int, mask: str, encoder_relu: bool, last_residual: bool,
        as_published: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.hop, self.skip = filter_length // 2, skip
        deep, convolution = deep_layers > 0, Conv1d if as_published else nn.Conv1d
        self.encoder, self.decoder = nn.ModuleDict(), nn.ModuleDict()
        self.encoder["analysis"] = convolution(1, filters, filter_length, stride=self.hop, bias=deep)
        self.encoder["relu"] = nn.ReLU() if encoder_relu else nn.Identity()
        self.encoder["deep"], self.decoder["deep"] = nn.Sequential(), nn.Sequential()
        for _ in range(deep_layers):
            self.encoder["deep"].extend([convolution(filters, filters, 3, padding=1), nn.PReLU()])
            self.decoder["deep"].extend([nn.ConvTranspose1d(filters, filters, 3, padding=1), nn.PReLU()])
        self.decoder["synthesis"] = nn.ConvTranspose1d(filters, 1, filter_length, stride=self.hop, bias=deep)
        self.frame_norm = FrameNorm(filters) if deep else nn.GroupNorm(1, filters, eps=1e-8)
        self.separator = Separator(
            filters, bottleneck, hidden, skip, kernel, blocks, repeats,
            deep or last_residual or skip == 0, not deep, convolution, as_published,
        )  # fmt: skip
        self.mask_activation = nn.ReLU() if mask == "relu" else nn.Sigmoid()

    def load_state_dict(self, state: dict[str, Tensor], *args: Any, **options: Any) -> Any:
        """Takes the library's names, where a block's residual and skip outputs are one convolution's."""
        renamed = {}
        for name, tensor in state.items():
            block, is_output, kind = name.partition("body.6.")
            if is_output:
                parts = tensor.split([len(tensor) - self.skip, self.skip])
                renamed |= {f"{block}{part}.{kind}": parts[i] for i, part in enumerate(("residual", "skip"))}
            else:
                renamed[name.replace("frame_norm.norm.", "frame_norm.")] = tensor
        return super().load_state_dict(
            {name: tensor for name, tensor in renamed.items() if len(tensor)}, *args, **options
        )

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        padded = F.pad(noisy, (0, max(2 * self.hop - length, -length % self.hop)))
        frames = self.encoder["relu"](self.encoder["analysis"](padded.unsqueeze(1)))
        frames = self.encoder["deep"](frames)
        mask = self.mask_activation(self.separator(self.frame_norm(frames)))
        return self.decoder["synthesis"](self.decoder["deep"](mask * frames))[:, 0, :length]


class FrameNorm(nn.LayerNorm):
    """Over the channels of each frame, (B, N, F)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Separator(nn.Module):
    def __init__(
        self, filters: int, bottleneck: int, hidden: int, skip: int, kernel: int, blocks: int, repeats: int,
        adds_residual: bool, prelu: bool, convolution: type[nn.Conv1d], as_published: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.skips, self.adds_residual = skip > 0 and not as_published, adds_residual
        self.bottleneck = convolution(filters, bottleneck, 1)
        self.blocks = nn.ModuleList()
        eps, count = 1e-8 if prelu else 1e-5, blocks * repeats
        for i in range(count):
            residual = bottleneck if i < count - 1 or adds_residual else 0
            dilation = 2 ** (i % blocks)
            self.blocks.append(Block(bottleneck, hidden, residual, skip, kernel, dilation, eps, convolution))
        self.prelu = nn.PReLU() if prelu else nn.Identity()
        self.mask = convolution(skip or bottleneck, filters, 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.bottleneck(frames)
        skips = torch.zeros(())
        for block in self.blocks:
            hidden = block.body(x)
            skips = skips + block.skip(hidden) if self.skips else skips
            x = x + block.residual(hidden) if block.residual is not None else x
        if self.skips:
            x = skips + x if self.adds_residual else skips
        return self.mask(self.prelu(x))


class Block(nn.Module):
    """The shared body, and its two outputs as layers of their own."""

    def __init__(
        self, bottleneck: int, hidden: int, residual: int, skip: int, kernel: int, dilation: int, eps: float,
        convolution: type[nn.Conv1d],
    ) -> None:  # fmt: skip
        super().__init__()
        padding = dilation * (kernel // 2)
        self.body = nn.Sequential(
            convolution(bottleneck, hidden, 1),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=eps),
            convolution(hidden, hidden, kernel, dilation=dilation, padding=padding, groups=hidden),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=eps),
        )
        self.residual = nn.Conv1d(hidden, residual, 1) if residual else None
        self.skip = nn.Conv1d(hidden, skip, 1) if skip else None
