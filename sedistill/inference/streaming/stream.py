"""`Stream`: chunks of any size in, enhanced samples out as soon as they are known."""

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sedistill.common.argument_checks import check_choice, check_number, check_whole
from sedistill.common.errors import UserError
from sedistill.inference.enhancing.arrays import HIGHEST_RATE, LOWEST_RATE, why_not_finite
from sedistill.inference.enhancing.strength import Mixture, remaining_share
from sedistill.inference.streaming.forms import Chunk, Form, as_given, samples_of
from sedistill.inference.streaming.pass_through import Passing, Samples, passing
from sedistill.inference.streaming.rates import QUALITIES, Rate, latency_seconds
from sedistill.inference.streaming.stepping import Stepping
from sedistill.inference.streaming.unusable import Unusable
from sedistill.models.base import SpeechEnhancer, check_network
from sedistill.models.folding import folded
from sedistill.models.saving import load_model

REPLACEMENTS = ("given", "silence")
WINDOWS = (0.1, 600.0)  # seconds


class Stream:
    """A network that enhances sound while it comes in.

    What `process` and at last `flush` return, joined, is as long as what came in, aligned with it, and for a
    network that works in steps what `sedistill.enhance` makes of the whole recording. Each channel is
    enhanced by itself. What is kept does not grow with the length.

    Args:
        model: a network, or the folder or name of a saved one. It is taken as it is now: a copy with folded
            norms works.
        sample_rate: of the chunks in Hz; None: the model's. Another rate than the model's is resampled to it
            and back inside, which keeps nothing above half the model's rate and takes its time (see
            `latency_ms`).
        correct_level: multiply by the model's `output_gain`, its measured factor onto clean speech.
        unusable: what stands for a chunk with NaN, infinities or samples beyond a hundred times full scale:
            "given", the chunk as it came, or "silence". The network hears silence in its place, so nothing
            of it stays in the states.
        window_seconds: of the windows in which a network without steps works (`in_windows` says so): longer
            ones clean better, and wait longer.
        resampling: quality of soxr, "VHQ", "HQ", "MQ" or "LQ". At VHQ the output is that of
            `sedistill.enhance`; HQ waits half as long.
        strength_db: by how much noise may be lowered at most, as in `sedistill.enhance`; 0 gives the input
            back (in single precision), as late as ever.

    Attributes
        latency_ms: how long the enhanced form of a sample waits at most, the chunk's own length not counted.
        in_windows: whether the network has no steps, and so works in overlapping windows.

    Raises UserError for a saved model that cannot be loaded and for impossible settings.
    """

    def __init__(
        self,
        model: SpeechEnhancer | Path | str,
        sample_rate: int | None = None,
        *,
        correct_level: bool = True,
        unusable: str = "given",
        window_seconds: float = 2.0,
        resampling: str = "VHQ",
        strength_db: float | None = None,
    ) -> None:
        network = load_model(model) if isinstance(model, Path | str) else model
        check_network(network)
        self._stepping = Stepping(folded(network))
        self._gain = np.float32(network.output_gain if correct_level else 1.0)
        self.sample_rate = network.sample_rate if sample_rate is None else sample_rate
        check_whole("sample_rate", self.sample_rate, LOWEST_RATE, HIGHEST_RATE, of="Hz")
        check_choice("unusable", unusable, REPLACEMENTS)
        check_choice("resampling", resampling, QUALITIES)
        check_number("window_seconds", window_seconds, *WINDOWS)
        self._keep, self._window_seconds, self._resampling = unusable == "given", window_seconds, resampling
        self.in_windows = network.step_samples is None
        probe = passing(self._stepping, 1, window_seconds)
        self.latency_ms = 1000 * latency_seconds(self.sample_rate, network.sample_rate, probe, resampling)
        self._share = remaining_share(strength_db, correct_level)
        self._unusable = Unusable(self._keep)
        self._way: Way | None = None
        self._form: Form | None = None

    @property
    def unusable_chunks(self) -> int:
        """How many chunks were replaced since the beginning or the last `reset`."""
        return self._unusable.count

    def reset(self) -> None:
        """Forget all that came in."""
        self._unusable = Unusable(self._keep)
        self._way = self._form = None

    def process(self, chunk: Chunk, sample_rate: int | None = None) -> Chunk:
        """Take the next samples and return those that are ready.

        chunk: (samples,) or (channels, samples), of any length, 0 too; NumPy or torch, floating point with
            full scale 1.0 or integer PCM (int16, int32, uint8). What is returned has its kind and type.
        sample_rate: the chunk's, where the caller wants it checked.

        Raises UserError where rate or number of channels change in mid-stream, or where the model gives NaN;
        TypeError and ValueError for what is no chunk.
        """
        if sample_rate is not None and sample_rate != self.sample_rate:
            raise UserError(
                f"the stream runs at {self.sample_rate} Hz and this chunk has {sample_rate} Hz; open another "
                "Stream for another rate."
            )
        samples, form = samples_of(chunk, None if self._way is None else self._way.channels)
        if self._way is None:
            self._way = self._way_of(len(samples))
        elif len(samples) != self._way.channels:
            raise UserError(
                f"the stream has {self._way.channels} channels and this chunk has {len(samples)}; flush it "
                "first, or open another Stream."
            )
        self._form = form
        enhanced = self._finished(self._way, self._way.take(self._unusable.heard(samples)))
        return cast(Chunk, as_given(enhanced, form))

    def flush(self) -> NDArray | Tensor:
        """Return what is still to come, in the form of the last chunk, and begin anew with the next."""
        if self._way is None or self._form is None:
            return np.zeros(0, np.float32)
        rest = as_given(self._finished(self._way, self._way.finish()), self._form)
        self._way = self._form = None
        return rest

    def _way_of(self, channels: int) -> "Way":
        rate, own = self.sample_rate, self._stepping.network.sample_rate
        return Way(
            Rate(rate, own, channels, self._resampling),
            passing(self._stepping, channels, self._window_seconds),
            Rate(own, rate, channels, self._resampling),
            channels,
            Mixture(self._share),
        )

    def _finished(self, way: "Way", enhanced: Samples) -> Samples:
        if not np.isfinite(enhanced).all():
            raise why_not_finite(self._stepping.network, "the stream")
        return self._unusable.filled(way.mixture.mixed((enhanced * self._gain).T).T)


class Way:
    """There to the network's rate, through it, and back: as many samples out as in, once it is finished."""

    def __init__(self, there: Rate, network: Passing, back: Rate, channels: int, mixture: Mixture) -> None:
        self.there, self.network, self.back, self.channels = there, network, back, channels
        self.mixture = mixture
        self.missing = 0

    def take(self, samples: Samples) -> Samples:
        self.missing += samples.shape[1]
        self.mixture.heard(samples.T)
        return self._given(self.back.take(self.network.take(self.there.take(samples))))

    def finish(self) -> Samples:
        nothing = np.zeros((self.channels, 0), np.float32)
        rest = [self.network.take(self.there.take(nothing, last=True)), self.network.finish()]
        enhanced = self._given(self.back.take(np.concatenate(rest, axis=1), last=True))
        return np.pad(enhanced, [(0, 0), (0, self.missing)])  # rounding between rates may lose a sample

    def _given(self, enhanced: Samples) -> Samples:
        enhanced = enhanced[:, : self.missing]
        self.missing -= enhanced.shape[1]
        return enhanced
