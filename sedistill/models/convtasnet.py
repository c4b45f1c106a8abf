"""Conv-TasNet: a mask over learned frames, estimated by dilated convolutions; causal where that is asked.

Sources: Y. Luo and N. Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech
Separation" (2019); the deep encoder and decoder with PReLU: B. Kadioglu et al., "An empirical study of
Conv-TasNet" (2020), in the shape of the public re-implementation that DISPatch's parameter counts fit.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.models.base import WIDEST, EvenSize, SampleRate, Size, SpeechEnhancer, check_odd
from sedistill.models.layers.fast_cpu import Conv1d, PReLU, runs_own_kernels
from sedistill.models.layers.fused_block import fast_block
from sedistill.models.layers.learned_frames import Decoder, Encoder
from sedistill.models.layers.memory import Memory, with_past
from sedistill.models.layers.norms import CumulativeNorm, global_norm


class ConvTasNet(SpeechEnhancer):
    """Conv-TasNet for one source, shallow (`deep_layers=0`) or with deep encoder and decoder.

    Arguments (the papers' symbols in brackets)
        filters: channels of the encoder (N).
        filter_length: samples of an encoder filter, even; frames advance by half of it (L).
        bottleneck: channels between the blocks (B).
        hidden: channels inside a block (H).
        skip: channels of the skip path (Sc); None: as `bottleneck`; 0: no skip path.
        kernel: taps of the depthwise convolutions, odd (P).
        blocks: blocks of a repeat, with dilations 1, 2, 4, ... (X).
        repeats: (R).
        deep_layers: extra convolutions (3 taps, PReLU) behind the encoder and before the decoder. With any,
            encoder and decoder have biases and each frame is normalized over its channels (as in DISPatch's
            networks); with none they have no biases, the whole clip is normalized together, and a PReLU
            stands before the mask.
        mask: activation of the mask, "relu" or "sigmoid".
        encoder_relu: ReLU behind the first encoder layer.
        last_residual: with a skip path in the shallow network, let the last block have its residual output
            too and add it to the skip outputs. In the other networks this is so in any case.
        causal: no convolution looks ahead, and where a norm sees the whole clip, it sees what came so far
            (cumulative layer norm). The parameters are as many; the latency is one filter, and a stream
            advances by half of it.
        sample_rate: Hz.

    What the mask sees: with a skip path the sum of all skip outputs (shallow: the last block then has no
    residual output; deep or with `last_residual`, where `skip` must equal `bottleneck`: the last residual
    output is added, so that every parameter of the published counts works); without one, the last residual
    output.

    Raises UserError on impossible settings.
    """

    se_loss = "si_snr"

    def __init__(
        self,
        filters: Size = 128,
        filter_length: EvenSize = 40,
        bottleneck: Size = 128,
        hidden: Size = 256,
        skip: Annotated[int | None, Field(ge=0, le=WIDEST)] = None,
        kernel: Size = 3,
        blocks: Annotated[int, Field(ge=1, le=16)] = 7,
        repeats: Annotated[int, Field(ge=1, le=32)] = 2,
        deep_layers: Annotated[int, Field(ge=0, le=32)] = 3,
        mask: Literal["relu", "sigmoid"] = "relu",
        encoder_relu: bool = False,
        last_residual: bool = False,
        causal: bool = False,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        self.settings["skip"] = skip = bottleneck if skip is None else skip
        check_odd("kernel", kernel)
        deep = deep_layers > 0
        adds_residual = deep or last_residual or skip == 0
        _check_together(bottleneck, skip, adds_residual)
        self.causal = causal
        self.latency_samples = filter_length if causal else None  # else norms see the whole clip
        self.step_samples = filter_length // 2 if causal else None
        self.encoder = Encoder(filters, filter_length, deep_layers, encoder_relu, causal)
        self.frame_norm = FrameNorm(filters) if deep else norm_over_time(filters, 1e-8, causal)
        self.separator = Separator(
            filters, bottleneck, hidden, skip, kernel, blocks, repeats,
            adds_residual=adds_residual, prelu=not deep, eps=1e-5 if deep else 1e-8, causal=causal,
        )  # fmt: skip
        self.mask_activation: nn.Module = nn.ReLU() if mask == "relu" else nn.Sigmoid()
        self.decoder = Decoder(filters, filter_length, deep_layers, causal)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        return super().forward(noisy) if self.causal else self._enhanced(noisy, None)[:, : noisy.shape[-1]]

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        return self._enhanced(noisy, memory)

    def _enhanced(self, noisy: Tensor, memory: Memory | None) -> Tensor:
        frames = self.encoder(noisy, memory)
        normed = normed_over_time(self.frame_norm, frames, memory)
        mask = self.mask_activation(self.separator(normed, memory))
        return self.decoder(mask * frames, memory)

    def output_layer(self) -> nn.Module:
        return self.decoder.synthesis


class FrameNorm(nn.Module):
    """Layer norm over the channels of each frame, (B, N, F) to (B, N, F)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


def norm_over_time(channels: int, eps: float, causal: bool) -> nn.Module:
    return CumulativeNorm(channels, eps) if causal else global_norm(channels, eps)


def normed_over_time(norm: nn.Module, x: Tensor, memory: Memory | None) -> Tensor:
    return norm(x, memory) if isinstance(norm, CumulativeNorm) else norm(x)


class Separator(nn.Module):
    """Normalized frames (B, N, F) to the mask before its activation (B, N, F)."""

    def __init__(
        self, filters: int, bottleneck: int, hidden: int, skip: int, kernel: int, blocks: int, repeats: int,
        adds_residual: bool, prelu: bool, eps: float, causal: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.adds_residual = adds_residual
        self.bottleneck = Conv1d(filters, bottleneck, 1)
        self.blocks = nn.ModuleList()
        count = blocks * repeats
        for i in range(count):
            residual = bottleneck if i < count - 1 or adds_residual else 0
            dilation = 2 ** (i % blocks)
            self.blocks.append(Block(bottleneck, hidden, residual, skip, kernel, dilation, eps, causal))
        self.prelu = PReLU() if prelu else nn.Identity()
        self.mask = Conv1d(skip or bottleneck, filters, 1)

    def fold(self) -> None:
        """Where the last residual is added to the skips, the last block has one output, the sum."""
        last = self.blocks[-1]
        assert isinstance(last, Block)
        if self.adds_residual and last.widths[1]:
            last.join_outputs()

    def forward(self, frames: Tensor, memory: Memory | None = None) -> Tensor:
        x = self.bottleneck(frames)
        skips: Tensor | None = None
        for block in self.blocks:
            residual, skip = block(x, memory)
            x = x + residual if residual is not None else x
            if skip is not None:
                skips = skip if skips is None else skips + skip
        if skips is not None:
            x = skips + x if self.adds_residual else skips
        return self.mask(self.prelu(x))


class Block(nn.Module):
    """1x1 convolution, PReLU, norm, dilated depthwise convolution, PReLU, norm, 1x1 outputs.

    The residual (B) and skip (Sc) convolutions are one matrix product with B + Sc outputs; 0 leaves one out.
    """

    def __init__(
        self, bottleneck: int, hidden: int, residual: int, skip: int, kernel: int, dilation: int, eps: float,
        causal: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.widths = [residual, skip]
        self.past = dilation * (kernel - 1)  # frames before its own that a causal block sees
        padding = 0 if causal else self.past // 2
        self.body = nn.Sequential(
            nn.Conv1d(bottleneck, hidden, 1),
            PReLU(),
            norm_over_time(hidden, eps, causal),
            nn.Conv1d(hidden, hidden, kernel, dilation=dilation, padding=padding, groups=hidden),
            PReLU(),
            norm_over_time(hidden, eps, causal),
            nn.Conv1d(hidden, residual + skip, 1),
        )

    def join_outputs(self) -> None:
        """Let the skip output be the sum of both."""
        outputs, width = self.body[-1], self.widths[1]
        assert isinstance(outputs, nn.Conv1d)
        joined = nn.Conv1d(outputs.in_channels, width, 1).requires_grad_(False)
        for one, both in zip(joined.parameters(), outputs.parameters(), strict=True):
            one.copy_(both.unflatten(0, (2, width)).sum(0))
        self.body[-1], self.widths = joined, [0, width]

    def forward(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor | None, Tensor | None]:
        """Return the residual and the skip output, each (B, ., F) or None where left out."""
        if memory is not None:
            out = self._looking_back(x, memory)
        else:
            out = fast_block(x, self.body) if runs_own_kernels(x) else self.body(x)
        residual, skip = out.split(self.widths, dim=1)
        return (residual if self.widths[0] else None), (skip if self.widths[1] else None)

    def _looking_back(self, x: Tensor, memory: Memory) -> Tensor:
        for place, layer in enumerate(self.body):
            x = with_past(x, self.past, 2, memory) if place == 3 else x
            x = normed_over_time(layer, x, memory)
        return x


def _check_together(bottleneck: int, skip: int, adds_residual: bool) -> None:
    if adds_residual and skip not in (0, bottleneck):
        raise UserError(
            f"skip = {skip}: with deep layers or last_residual it must be 0 or equal "
            f"bottleneck = {bottleneck}, since skip and residual outputs are added before the mask."
        )
