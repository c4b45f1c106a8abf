"""CleanUNet: a convolutional encoder-decoder on the waveform around causal self-attention.

Source: Z. Kong et al., "Speech Denoising in the Waveform Domain with Self-Attention" (2022), in the shape of
its authors' code, which fits KDRL's (2023) parameter count with three blocks of attention.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.common.errors import UserError
from sedistill.models.base import SampleRate, Size, SpeechEnhancer
from sedistill.models.layers.self_attention import SelfAttention
from sedistill.models.layers.waveform_layers import DecoderLayer, EncoderLayer, fitting_length, rescale

KERNEL, STRIDE = 4, 2
FLOOR = 1e-3  # added to the clip's deviation


class CleanUNet(SpeechEnhancer):
    """CleanUNet; its layers down and up are those of DEMUCS with shorter kernels.

    Arguments (the paper's symbols in brackets)
        channels: of the first layer; each layer down doubles them (H) ...
        max_channels: ... up to these.
        depth: layers down, and as many up; each divides the rate by 2 (D).
        blocks: of self-attention at the lowest rate, 0 for none (N).
        width: channels of a block, a multiple of `heads`.
        heads: of the attention.
        hidden: channels between the two linear layers of a block.
        normalize: divide the clip by its deviation and multiply the output by it, as the paper does; every
            sample then waits for the whole clip.
        sample_rate: Hz.

    Without `normalize` the network is causal, with the latency of one frame of the deepest layer: 766
    samples, 48 ms, in a network of 8 layers. The attention reaches back to the clip's beginning and has no
    positional encoding.

    Layers are named by their depth, 1 nearest to the waveform, in `encoder` and `decoder`; between them are
    `attention.0`, `attention.1`, ...

    Differs from the authors' code in that the caller's clip is left as it was, and in that the deviation is
    defined for a clip of one sample too (0).

    Raises UserError on impossible settings.
    """

    se_loss = "clean_unet"

    def __init__(
        self,
        channels: Size = 64,
        max_channels: Size = 768,
        depth: Annotated[int, Field(ge=1, le=8)] = 8,
        blocks: Annotated[int, Field(ge=0, le=16)] = 3,
        width: Size = 512,
        heads: Size = 8,
        hidden: Size = 2048,
        normalize: bool = True,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"width = {width}: it must be a multiple of heads = {heads}.")
        self.normalize = normalize
        self.causal = not normalize
        self.latency_samples = None if normalize else fitting_length(1, depth, KERNEL, STRIDE)
        self.encoder, self.decoder = nn.ModuleDict(), nn.ModuleDict()
        widths = [1, *(min(channels * 2**layer, max_channels) for layer in range(depth))]
        for layer in range(1, depth + 1):
            outer, inner = widths[layer - 1], widths[layer]
            self.encoder[str(layer)] = EncoderLayer(outer, inner, KERNEL, STRIDE)
            self.decoder[str(layer)] = DecoderLayer(inner, outer, KERNEL, STRIDE, last=layer == 1)
        self.before = nn.Conv1d(widths[depth], width, 1)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = nn.Sequential(*(AttentionBlock(width, heads, hidden) for _ in range(blocks)))
        self.after = nn.Conv1d(width, widths[depth], 1)
        rescale(self)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        if not self.normalize:
            return self._enhanced(noisy)
        level = noisy.std(dim=-1, keepdim=True, correction=0) + FLOOR
        return level * self._enhanced(noisy / level)

    def output_layer(self) -> nn.Module:
        first = self.decoder["1"]
        assert isinstance(first, DecoderLayer)
        return first.up

    def _enhanced(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        x = F.pad(noisy, (0, fitting_length(length, len(self.encoder), KERNEL, STRIDE) - length))[:, None]
        skips = []
        for encode in self.encoder.values():
            x = encode(x)
            skips.append(x)
        frames = self.norm(self.before(x).transpose(1, 2))
        x = self.after(self.attention(frames).transpose(1, 2))
        for decode in reversed(list(self.decoder.values())):
            x = decode(x + skips.pop())
        return x[:, 0, :length]


class AttentionBlock(nn.Module):
    """Causal self-attention and two linear layers, each added to its input and normalized behind it.

    Sequences (B, L, width) to the same shape.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, bias=False, causal=True)
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.linear_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x))
        return self.linear_norm(x + self.contract(torch.relu(self.expand(x))))
