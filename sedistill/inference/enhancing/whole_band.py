"""What lies above half the network's rate: given back, lowered by what the network took from just below."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sedistill.inference.enhancing.chunks import Block
from sedistill.inference.enhancing.strength import Remembered

FRAME_SECONDS = 0.032
FLOOR = 1e-8  # energy of a frame's octave, of full scale, below which nothing is told from nothing


class WholeBand:
    """The band that a network does not hear, with a gain of its own.

    output = enhanced + g (noisy - low), where `low` is the noisy signal as the network hears it, brought to
    its rate and back. g follows the octave below half the network's rate, where noise and hisses are most
    like those above: the root of its energy in the enhanced signal over that in `low`, 1 at most, in frames
    of 32 ms, each channel by itself, linear in between. A network that changes nothing gives the noisy signal
    back, one that gives silence leaves silence.

    Args:
        sample_rate, network_rate: in Hz.
    """

    def __init__(self, sample_rate: int, network_rate: int) -> None:
        self._noisy = Remembered()
        self.hop = max(1, round(FRAME_SECONDS * sample_rate / 2))
        frame = 2 * self.hop
        self.window = np.hanning(frame + 1)[:-1, None].astype(np.float32)
        hz = np.fft.rfftfreq(frame, 1 / sample_rate)
        self.octave = (hz >= network_rate / 4) & (hz < network_rate / 2)

    def hearing(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The noisy blocks (frames, channels) as they are, remembered."""
        return map(self._noisy.heard, blocks)

    def filled(self, pairs: Iterable[Block]) -> Iterator[Block]:
        """From blocks (frames, 2 channels), enhanced beside `low`, to whole ones (frames, channels)."""
        waiting: Block | None = None  # from half a frame before what is next to be given
        for pair in pairs:
            if waiting is None:
                waiting = np.zeros((self.hop, pair.shape[1]), np.float32)
            waiting = np.concatenate([waiting, pair])
            count = max(0, len(waiting) // self.hop - 2)  # hops between two known gains
            if not count:
                continue
            yield self._given(waiting[self.hop : (count + 1) * self.hop], self._gains(waiting, count + 1))
            waiting = waiting[count * self.hop :]
        if waiting is None or len(waiting) == self.hop:
            return
        rest = waiting[self.hop :]
        padding = np.zeros((-len(rest) % self.hop + 2 * self.hop, waiting.shape[1]), np.float32)
        gains = self._gains(np.concatenate([waiting, padding]), -(-len(rest) // self.hop) + 1)
        yield self._given(rest, gains)

    def _gains(self, samples: Block, count: int) -> NDArray:
        """Gains (count, channels) at multiples of the hop, the first in the middle of the first frame."""
        frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * self.hop, axis=0)[:: self.hop][:count]
        spectra = np.fft.rfft(frames * self.window.T, axis=-1)[..., self.octave]
        enhanced, low = np.split((np.abs(spectra) ** 2).sum(axis=-1) + FLOOR, 2, axis=1)
        return np.sqrt(np.minimum(1, enhanced / low)).astype(np.float32)

    def _given(self, pair: Block, gains: NDArray) -> Block:
        enhanced, low = np.split(pair, 2, axis=1)
        rise = (np.arange(self.hop, dtype=np.float32) / self.hop)[:, None]
        between = gains[:-1, None] + rise * np.diff(gains, axis=0)[:, None]  # (hops, hop, channels)
        gain = between.reshape(-1, enhanced.shape[1])[: len(enhanced)]
        return enhanced + gain * (self._noisy.next(len(enhanced)) - low)
