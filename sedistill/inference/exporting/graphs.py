"""Networks in the shapes in which they are exported: tensors in, tensors out, nothing that ONNX lacks."""

import keyword
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sedistill.inference.exporting.clip_norms import with_norms_inside
from sedistill.inference.exporting.recurrent import with_onnx_recurrence
from sedistill.models.base import SpeechEnhancer
from sedistill.models.folding import folded
from sedistill.models.frames import FrameEnhancer, Frames
from sedistill.models.layers.memory import Memory

Network = TypeVar("Network", bound=SpeechEnhancer)
SLOTS = 3  # states that the GTCRN slot of sherpa-onnx has


class StepGraph(nn.Module):
    """One step of a stream: samples (1, H) and states to samples, `delay_samples` late, and states."""

    def __init__(self, network: SpeechEnhancer, gain: float) -> None:
        super().__init__()
        self.network, self.gain = for_export(network), gain

    def example(self) -> tuple[Tensor, ...]:
        size = self.network.step_samples
        assert size is not None
        return torch.zeros(1, size), *self.network.first_states(1)

    def forward(self, noisy: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        enhanced, following = self.network.step(noisy, states)
        return self.gain * enhanced, *following


class FrameGraph(nn.Module):
    """One frame of a spectrum, (1, bins, 1, 2), and states to the enhanced frame and states."""

    def __init__(self, network: FrameEnhancer, gain: float) -> None:
        super().__init__()
        self.network, self.gain = for_export(network), gain

    def example(self) -> tuple[Tensor, ...]:
        memory, bins = Memory(), self.network.frames.length // 2 + 1
        with torch.no_grad():
            self.network.enhance_frames(torch.zeros(1, 1, bins, 2), memory)
        return torch.zeros(1, bins, 1, 2), *(torch.zeros_like(state) for state in memory.left)

    def forward(self, spectrum: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        memory = Memory(states)
        enhanced = self.network.enhance_frames(spectrum.transpose(1, 2), memory)
        return self.gain * enhanced.transpose(1, 2), *memory.left


class SlotGraph(FrameGraph):
    """`FrameGraph` with three states: as they are where they are no more, else joined to three vectors."""

    def example(self) -> tuple[Tensor, ...]:
        spectrum, *states = super().example()
        self.shapes = [state.shape for state in states]
        self.groups = _in_groups([state.numel() for state in states])
        return spectrum, *self._joined(states)

    def forward(self, spectrum: Tensor, *joined: Tensor) -> tuple[Tensor, ...]:
        enhanced, *following = super().forward(spectrum, *self._parted(joined))
        return enhanced, *self._joined(following, joined)

    def _joined(self, states: list[Tensor], before: tuple[Tensor, ...] = ()) -> list[Tensor]:
        slots = []
        for slot, group in enumerate(self.groups):
            mine = states[group]
            if not mine:  # a slot without use gives back what it got
                slots.append(before[slot] if before else torch.zeros(1))
            else:
                slots.append(mine[0] if len(mine) == 1 else torch.cat([state.flatten() for state in mine]))
        return slots

    def _parted(self, joined: tuple[Tensor, ...]) -> list[Tensor]:
        states: list[Tensor] = []
        for slot, group in zip(joined, self.groups, strict=True):
            shapes = self.shapes[group]
            if len(shapes) > 1:
                sizes = [math.prod(shape) for shape in shapes]
                parts = slot.split(sizes)
                states += [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
            else:
                states += [slot] * len(shapes)
        return states


class ClipGraph(nn.Module):
    """A whole clip (1, T) to (1, T).

    A factor `gain` onto the level of clean speech is part of every graph. `norms_inside`: norms over the clip
    are part of convolutions where they can be; the weights of these are no constants then.
    """

    def __init__(self, network: SpeechEnhancer, gain: float, norms_inside: bool) -> None:
        super().__init__()
        self.network, self.gain = for_export(network), gain
        with_onnx_recurrence(self.network)
        if norms_inside:
            with_norms_inside(self.network)

    def forward(self, noisy: Tensor) -> Tensor:
        return self.gain * self.network(noisy)


class MatrixFrames(Frames):
    """`Frames` whose transforms are matrix products, which every runtime has.

    In two stages, as in a fast Fourier transform: sample n = n1 M + n2 and bin k = k1 + N k2, with N M the
    window; first over n1, for every k1 and n2, and then, with the factors between, over n2. One product with
    the whole matrix takes five times the operations, and so much memory that it falls out of the caches.
    """

    first: Tensor
    first_back: Tensor
    second: Tensor
    weights: Tensor

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames.length, frames.hop, frames.power)
        length, bins = frames.length, frames.length // 2 + 1
        outer = max(n for n in range(1, math.isqrt(length) + 1) if length % n == 0)  # N
        inner, turns = length // outer, -(-bins // outer)  # M, and values of k2
        k1, n1, n2, k2 = (torch.arange(count, dtype=torch.float64) for count in (outer, outer, inner, turns))
        first = _turned(torch.outer(k1, n1) / outer)  # (N, N, 2), for each k1 over n1
        bin_of = k1[:, None, None] + outer * k2  # (N, 1, turns)
        real, imag = _turned(n2[:, None] * bin_of / length).unbind(-1)  # (N, M, turns)
        second = torch.stack([torch.stack([real, imag], -1), torch.stack([-imag, real], -1)], dim=1)
        self.register_buffer("first", first.permute(0, 2, 1).flatten(0, 1).float(), persistent=False)
        self.register_buffer("first_back", self.first.T.contiguous(), persistent=False)  # known by its name
        self.register_buffer("second", second.flatten(1, 2).flatten(-2).float(), persistent=False)
        weights = torch.full((bins, 1), 2.0 / length)
        weights[0] = weights[-1] = 1.0 / length  # the others stand for their conjugates, too
        self.register_buffer("weights", weights, persistent=False)
        self.bins = bins

    def analyzed(self, pieces: Tensor) -> Tensor:
        outer = len(self.second)
        parts = self.first @ (pieces * self.window).unflatten(-1, (outer, -1))  # (..., 2 N, M)
        spectra = (
            parts.unflatten(-2, (outer, 2)).flatten(-2).unsqueeze(-2) @ self.second
        )  # (..., N, 1, 2 turns)
        return (
            spectra.squeeze(-2).unflatten(-1, (-1, 2)).transpose(-2, -3).flatten(-3, -2)[..., : self.bins, :]
        )

    def synthesized(self, spectra: Tensor) -> Tensor:
        outer, turns = len(self.second), self.second.shape[2] // 2
        whole = F.pad(spectra * self.weights, (0, 0, 0, outer * turns - self.bins))
        parts = whole.unflatten(-2, (turns, outer)).transpose(-2, -3).flatten(-2).unsqueeze(-2)
        parts = (parts @ self.second.mT).squeeze(-2).unflatten(-1, (2, -1)).flatten(-3, -2)  # (..., 2 N, M)
        return (self.first_back @ parts).flatten(-2) * self.dual


def _turned(turns: Tensor) -> Tensor:
    """Real and imaginary part of exp(-2 pi i turns), in a new last axis."""
    angles = 2 * math.pi * turns.remainder(1)
    return torch.stack([angles.cos(), -angles.sin()], dim=-1)


def for_export(network: Network) -> Network:
    """A folded copy on the CPU without Fourier transforms."""
    copied = folded(network).cpu().float()
    for module in list(copied.modules()):
        _without_keywords(module)
        _with_plain_slopes(module)
        _with_centred_norms(module)
    if isinstance(frames := getattr(copied, "frames", None), Frames):
        copied.frames = MatrixFrames(frames)
    return copied


def _without_keywords(module: nn.Module) -> None:
    """Layers named by words of Python's, such as "global", get another name: the exporter writes code."""
    for name in list(module._modules):
        if keyword.iskeyword(name):
            layer = module._modules.pop(name)
            vars(module)[name] = layer  # where `get_submodule` finds it still
            module.add_module(f"{name}_", layer)


def _with_plain_slopes(module: nn.Module) -> None:
    """PReLUs of one slope as leaky ReLUs, which onnxruntime computes inside the convolution before them."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            setattr(module, name, nn.LeakyReLU(layer.weight.item()))


class Centred(nn.Module):
    """A signal less its mean over its last axes."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.axes = tuple(range(-axes, 0))

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=self.axes, keepdim=True)


def _with_centred_norms(module: nn.Module) -> None:
    """Layer norms of what has no mean: beside a large one onnxruntime lost the variance until 2026."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.LayerNorm):
            setattr(module, name, nn.Sequential(Centred(len(layer.normalized_shape)), layer))


def _in_groups(sizes: list[int]) -> list[slice]:
    """Three runs of neighbouring states, as they are where they are no more than three."""
    if len(sizes) <= SLOTS:
        return [slice(i, i + 1) for i in range(SLOTS)]
    ends = [len(sizes) - 2, len(sizes) - 1, len(sizes)]
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
