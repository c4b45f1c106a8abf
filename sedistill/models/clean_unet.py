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
from sedistill.models.base import WIDEST, SampleRate, Size
from sedistill.models.layers.memory import Memory
from sedistill.models.layers.self_attention import SelfAttention, steps_seen
from sedistill.models.layers.waveform_layers import rescale
from sedistill.models.strided_u_net import FLOOR, StridedUNet

KERNEL, STRIDE = 4, 2


class CleanUNet(StridedUNet):
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
        reach: frames that attention looks back at, its own among them, 16 ms each in a network of 8 layers;
            None: to the clip's beginning, as in the paper, which no stream can keep.
        sample_rate: Hz.

    Without `normalize` the network is causal, with the latency of one frame of the deepest layer: 766
    samples, 48 ms, in a network of 8 layers; with a `reach` it then streams in steps. The attention has no
    positional encoding. Between `encoder` and `decoder` are `attention.0`, `attention.1`, ...

    Differs from the authors' code in that the caller's clip is left as it was, and in that the deviation is
    defined for a clip of one sample too (0).

    Raises UserError on impossible settings.
    """

    se_loss = "clean_unet"
    level_floor = FLOOR

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
        reach: Annotated[int | None, Field(ge=1, le=WIDEST)] = None,
        sample_rate: SampleRate = 16_000,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"width = {width}: it must be a multiple of heads = {heads}.")
        self.normalize, self.reach = normalize, reach
        widths = [1, *(min(channels * 2**layer, max_channels) for layer in range(depth))]
        self.add_layers(widths, KERNEL, STRIDE)
        self.causal = not normalize
        self.latency_samples = self.late + self.hop if self.causal else None
        self.step_samples = self.hop if self.causal and (reach or not blocks) else None
        self.before = nn.Conv1d(widths[depth], width, 1)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = nn.ModuleList(AttentionBlock(width, heads, hidden) for _ in range(blocks))
        self.after = nn.Conv1d(width, widths[depth], 1)
        rescale(self)

    def whole(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        return self.through(F.pad(noisy, (0, self.fitting(length) - length)))[:, :length]

    def piece(self, noisy: Tensor, memory: Memory) -> Tensor:
        return self.through(noisy, memory)

    def middle(self, x: Tensor, memory: Memory | None) -> Tensor:
        frames = self.norm(self.before(x).transpose(1, 2))
        seen = None if self.reach is None else steps_seen(frames, self.reach, memory or Memory())
        for block in self.attention:
            frames = block(frames, seen, memory)
        return self.after(frames.transpose(1, 2))


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

    def forward(self, x: Tensor, seen: Tensor | None, memory: Memory | None) -> Tensor:
        x = self.attention_norm(x + self.attention(x, seen, memory))
        return self.linear_norm(x + self.contract(torch.relu(self.expand(x))))
