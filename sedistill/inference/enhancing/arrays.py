"""Enhance a waveform in memory, and the stream that enhances everything else."""

from collections.abc import Iterable, Iterator
from numbers import Real
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sedistill.audio.resampling import BLOCK_FRAMES, resampled
from sedistill.common.argument_checks import as_given, check_kind, check_number
from sedistill.common.errors import UserError
from sedistill.inference.channels import refuse_swapped_axes
from sedistill.inference.enhancing.chunks import Block, in_chunks, of_length
from sedistill.inference.enhancing.enhancement_settings import Settings
from sedistill.inference.enhancing.strength import Mixture
from sedistill.inference.enhancing.whole_band import WholeBand
from sedistill.models.eval_mode import in_eval_mode
from sedistill.models.saving import load_model

CHUNK_SECONDS = 10.0
OVERLAP_SECONDS = 1.0
CHUNKS_SECONDS = (0.1, 86_400.0)  # shorter ones take ages, and a network hears nothing in them
LOWEST_RATE, HIGHEST_RATE = 100, 10_000_000  # Hz; below there is no speech, and a rate is mistyped

WAVEFORM = "the waveform"
LOUDEST = 100.0
"""Times full scale; beyond lie samples of another scale, such as 32768, which no network has learnt from."""

Waveform = TypeVar("Waveform", NDArray[np.floating], Tensor)


def enhance(
    model: nn.Module | Path | str,
    waveform: Waveform,
    sample_rate: int,
    correct_level: bool = True,
    chunk_seconds: float | None = CHUNK_SECONDS,
    strength_db: float | None = None,
    whole_band: bool = False,
) -> Waveform:
    """Remove the noise from a waveform with a network or a saved model.

    Args:
        model: a network with `sample_rate` (and `output_gain`), or the folder of a saved one.
        waveform: noisy speech, NumPy or torch floating point, shape (samples,) or (channels, samples), any
            length; each channel is enhanced by itself. Full scale is 1.0; what reaches more than a hundred
            times that is refused, since it is of another scale, such as 16 bits not divided by 32768.
        sample_rate: its rate in Hz. Other rates than the model's are resampled to it and back, which keeps
            nothing above half the model's rate (but see `whole_band`).
        correct_level: multiply by the model's `output_gain`, its measured factor onto clean speech.
        chunk_seconds: longer input is enhanced in chunks of this length that overlap by 1 s, so memory
            does not grow with it; None takes the whole input at once.
        strength_db: by how much noise may be lowered at most: a noisy + (1 - a) enhanced, a = 10^(-dB/20).
            0 is the input, bit for bit; None sets no limit.
        whole_band: keep what lies above half the model's rate, lowered at each time by as much as the network
            lowered the octave below.

    Returns the enhanced waveform: same kind, type, shape, rate and alignment. A network given by the caller
    runs where its weights are, in eval mode, and is left in the mode it was in.

    Several threads may use one network at a time.

    Raises UserError for samples that are NaN, infinite or too large, an unusable rate, or a folder that is no
    saved model; ValueError for another shape, (samples, channels) among them, TypeError for samples that are
    not floating point.
    """
    check_kind("model", model, (nn.Module, Path, str), "a network, or the folder or name of a saved one")
    network = model if isinstance(model, nn.Module) else load_model(model)
    samples = _as_frames(waveform)
    settings = Settings(correct_level, strength_db, whole_band)
    stream = enhanced(
        network, _blocks_of(samples), sample_rate, samples.shape[1], len(samples), settings, chunk_seconds
    )
    result = np.empty_like(samples)
    done = 0
    for block in stream:
        result[done : done + len(block)] = block
        done += len(block)
    if strength_db == 0:  # samples may have more bits than a network hears
        return waveform.copy() if isinstance(waveform, np.ndarray) else waveform.detach().clone()
    return _as_given(result, waveform)


def enhanced(
    network: nn.Module,
    blocks: Iterable[Block],
    sample_rate: int,
    channels: int,
    frames: int,
    settings: Settings,
    chunk_seconds: float | None = CHUNK_SECONDS,
    name: str = WAVEFORM,
) -> Iterator[Block]:
    """Enhance a stream of blocks (frames, channels) that has `frames` frames in all; yields as many.

    `name` is what to call the input where its samples are at fault (UnusableSamples).
    """
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    if not is_number or not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UserError(
            f"sample_rate = {as_given(sample_rate)}: give the recording's rate in Hz, {LOWEST_RATE} to "
            f"{HIGHEST_RATE}."
        )
    model_rate = rate_of(network)
    gain = level_factor(network) if settings.correct_level else 1.0
    if chunk_seconds is not None:
        check_number("chunk_seconds", chunk_seconds, *CHUNKS_SECONDS)
    chunk = None if chunk_seconds is None else max(round(chunk_seconds * model_rate), 2)
    overlap = min(round(OVERLAP_SECONDS * model_rate), (chunk or 0) // 2)
    above = WholeBand(sample_rate, model_rate) if settings.whole_band and sample_rate > model_rate else None
    mixture = Mixture(settings.noisy_share)

    def applied(piece: Block) -> Block:
        clean = _apply(network, piece, gain, name)
        return clean if above is None else np.concatenate([clean, piece], axis=1)

    noisy = mixture.hearing(blocks) if above is None else above.hearing(mixture.hearing(blocks))
    at_model_rate = resampled(noisy, sample_rate, model_rate, exact_length=False)
    clean = in_chunks(at_model_rate, applied, chunk, overlap)
    back = resampled(clean, model_rate, sample_rate, exact_length=False)
    if above is not None:
        back = above.filled(of_length(back, 2 * channels, frames))
    yield from map(mixture.mixed, of_length(back, channels, frames))


def rate_of(network: nn.Module) -> int:
    """The rate in Hz a network works at. Raises UserError for one that does not say it."""
    rate = getattr(network, "sample_rate", None)
    if rate is None:
        raise UserError(
            f"the network {type(network).__name__} has no `sample_rate`; set it to its rate in Hz."
        )
    return int(rate)


def level_factor(network: nn.Module) -> float:
    """The network's measured factor onto clean speech; 1 for a network that has none."""
    return float(getattr(network, "output_gain", 1.0))


def refuse_unusable(samples: NDArray, name: str, first_frame: int = 0) -> None:
    """Raise UnusableSamples for (frames, channels) that hold NaN or infinities or are of another scale."""
    refuse_not_finite(samples, name, first_frame)
    if not (peak := float(np.abs(samples).max(initial=0))) <= LOUDEST:
        raise UnusableSamples(name, f"reaches {peak:.3g}, where full scale is 1; scale it first")


def refuse_not_finite(samples: NDArray, name: str, first_frame: int = 0) -> None:
    """Raise UnusableSamples naming the first NaN or infinite sample of (frames, channels)."""
    if np.isfinite(samples).all():
        return
    frame, channel = np.argwhere(~np.isfinite(samples))[0]
    value = samples[frame, channel]
    place = f"sample {first_frame + frame} of channel {channel + 1}"
    raise UnusableSamples(name, f"holds {value} at {place}; mend or cut it out first")


class UnusableSamples(UserError):  # noqa: N818 - named as UserError is
    """What is to be enhanced is at fault, not the network; the message is `name reason.`"""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}.")
        self.name, self.reason = name, reason

    def __reduce__(self) -> tuple[type["UnusableSamples"], tuple[str, str]]:
        return UnusableSamples, (self.name, self.reason)


def _apply(network: nn.Module, piece: Block, gain: float, name: str) -> Block:
    """One chunk, channel by channel: memory then does not grow with the number of channels."""
    if len(piece) == 0:
        return piece
    parameter = next((one for one in network.parameters() if one.is_floating_point()), torch.empty(0))
    result = np.empty_like(piece)
    with in_eval_mode(network), torch.inference_mode():
        for channel in range(piece.shape[1]):
            noisy = torch.from_numpy(np.ascontiguousarray(piece[:, channel])).to(parameter)
            result[:, channel] = network(noisy[None])[0].float().cpu().numpy()
    if not np.isfinite(result).all():
        raise why_not_finite(network, name)
    return result if gain == 1.0 else np.float32(gain) * result


def why_not_finite(network: nn.Module, name: str) -> UserError:
    """Why a network gave NaN or an infinity."""
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        return UserError("the model gave NaN: some of its weights are NaN or infinite; take another one.")
    return UserError(f"the model gave NaN for {name}, though its weights are finite; its training diverged.")


def _blocks_of(samples: Block) -> Iterator[Block]:
    for start in range(0, len(samples), BLOCK_FRAMES):
        yield samples[start : start + BLOCK_FRAMES]


def _as_frames(waveform: NDArray[np.floating] | Tensor) -> Block:
    """(samples,) or (channels, samples) -> float32 (samples, channels)."""
    if not isinstance(waveform, np.ndarray | Tensor):
        raise TypeError(f"{WAVEFORM} must be an array or a tensor, not a {type(waveform).__name__}")
    given = waveform.detach().cpu() if isinstance(waveform, Tensor) else waveform
    is_float = given.is_floating_point() if isinstance(given, Tensor) else given.dtype.kind == "f"
    if not is_float:
        raise TypeError(f"{WAVEFORM} must be floating point with full scale 1.0, not {waveform.dtype}")
    if isinstance(given, Tensor):
        given = (given if given.dtype in (torch.float32, torch.float64) else given.float()).numpy()
    refuse_swapped_axes(given.shape, WAVEFORM)
    frames = np.atleast_2d(given).T
    refuse_unusable(frames, WAVEFORM)
    return frames.astype(np.float32)


def _as_given(result: Block, waveform: Waveform) -> Waveform:
    back = result.T.reshape(tuple(waveform.shape))
    if isinstance(waveform, Tensor):
        return torch.from_numpy(np.ascontiguousarray(back)).to(waveform)
    return np.ascontiguousarray(back, dtype=waveform.dtype)
