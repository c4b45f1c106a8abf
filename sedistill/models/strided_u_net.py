"""What DEMUCS and CleanUNet share: strided layers down and up on the waveform around a part of their own."""

from torch import Tensor, nn

from sedistill.models.base import SpeechEnhancer
from sedistill.models.layers.memory import Memory, delayed
from sedistill.models.layers.waveform_layers import DecoderLayer, EncoderLayer, fitting_length

FLOOR = 1e-3  # added to the clip's deviation


class StridedUNet(SpeechEnhancer):
    """Layers down, `middle`, and as many up, each of which also gets what its counterpart down gave.

    Layers are named by their depth, 1 nearest to the waveform, in `encoder` and `decoder`. A network with
    steps takes a clip as if silence came before and behind it; one without begins its first window with the
    first sample and completes the last with zeros, as the authors' codes do.

    Attributes
        normalize: whether the clip is divided by its deviation, which waits for the whole clip.
        level_floor: what is added to the deviation when the output is multiplied by it.
    """

    normalize: bool
    level_floor = 0.0

    def add_layers(self, widths: list[int], kernel: int, stride: int) -> None:
        """widths: of the waveform, 1, and of the layers down."""
        self.kernel, self.stride = kernel, stride
        self.encoder, self.decoder = nn.ModuleDict(), nn.ModuleDict()
        for layer in range(1, len(widths)):
            outer, inner = widths[layer - 1], widths[layer]
            self.encoder[str(layer)] = EncoderLayer(outer, inner, kernel, stride)
            self.decoder[str(layer)] = DecoderLayer(inner, outer, kernel, stride, last=layer == 1)

    def forward(self, noisy: Tensor) -> Tensor:
        """Enhance `noisy` (B, T), T >= 1; returns (B, T)."""
        if self.step_samples is not None:
            return super().forward(noisy)
        if not self.normalize:
            return self.whole(noisy)
        deviation = noisy.std(dim=-1, keepdim=True, correction=0)  # defined for one sample too
        return (deviation + self.level_floor) * self.whole(noisy / (FLOOR + deviation))

    def output_layer(self) -> nn.Module:
        first = self.decoder["1"]
        assert isinstance(first, DecoderLayer)
        return first.up

    def whole(self, noisy: Tensor) -> Tensor:
        """A clip (B, T) without its level to (B, T)."""
        raise NotImplementedError

    def middle(self, x: Tensor, memory: Memory | None) -> Tensor:
        """Frames of the deepest layer (B, C, K) to the same shape."""
        raise NotImplementedError

    def fitting(self, length: int) -> int:
        """The least length, not below `length`, that the layers give back."""
        return fitting_length(length, len(self.encoder), self.kernel, self.stride)

    @property
    def hop(self) -> int:
        """Samples from one frame of the deepest layer to the next."""
        return self.stride ** len(self.encoder)

    @property
    def late(self) -> int:
        """By how many samples a piece comes out later: what a deepest frame spans beyond its hop."""
        return self.fitting(1) - self.hop

    def through(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """(B, T) of a fitting length to (B, T); pieces of a clip, in whole hops, `late` samples later."""
        x, skips, late = x[:, None], [], 0
        for encode in self.encoder.values():
            x = encode(x, memory)
            skips.append(x)
        x = self.middle(x, memory)
        for decode in reversed(list(self.decoder.values())):
            skip = skips.pop()
            x = x + (skip if memory is None else delayed(skip, late, 2, memory))
            x = decode(x, memory)
            late = late * self.stride + self.kernel - self.stride
        return x[:, 0]
