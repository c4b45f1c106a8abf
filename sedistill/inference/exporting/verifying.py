"""Whether an exported file does what the network does: asked in onnxruntime, before anybody gets the file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sedistill.audio.resampling import resample
from sedistill.common.errors import UserError
from sedistill.common.wording import first_line
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metrics import METRICS, metrics_named
from sedistill.evaluation.pesq_mos import PESQ_RATE
from sedistill.inference.exporting.calibration import Clip
from sedistill.inference.exporting.running import open_onnx
from sedistill.inference.exporting.verification_clip import check_clip
from sedistill.models.base import SpeechEnhancer
from sedistill.models.eval_mode import evaluating
from sedistill.models.frames import FrameEnhancer
from sedistill.models.layers.memory import Memory

MOST_DIFFERENCE = 1e-4  # of full scale, or of the output's peak where that is larger
MOST_PESQ_DIFFERENCE = 0.01
MOST_PESQ_LOSS = 0.1  # of int8 and fp16


@dataclass(frozen=True)
class Findings:
    """What was measured of a file that passed."""

    difference: float
    lengths: tuple[int, ...]
    pesq: float | None
    """WB-PESQ of the check clip as enhanced by the file; None where pesq is not installed."""

    def text(self) -> str:
        """One sentence."""
        *first, last = map(str, self.lengths)
        quality = (
            "WB-PESQ of the check clip is the same"
            if self.pesq is not None
            else "WB-PESQ was not compared (it needs pesq: pip install 'sedistill[eval]')"
        )
        return (
            f"in onnxruntime {self.difference:.1g} of full scale from PyTorch at most, with clips of "
            f"{', '.join(first)} and {last} samples; {quality}."
        )


@dataclass(frozen=True)
class CoarseFindings:
    """What was measured of a file in fewer bits that passed: mean WB-PESQ of the network and of the file."""

    precision: str
    pesq_before: float
    pesq: float
    clips: int

    def text(self) -> str:
        """One sentence."""
        on = "the check clip" if self.clips == 1 else f"{self.clips} clips"
        scores = f"WB-PESQ is {self.pesq:.2f} on {on}, where PyTorch has {self.pesq_before:.2f}"
        return f"in {self.precision} {scores}."


def verify(path: Path, network: SpeechEnhancer, gain: float) -> Findings:
    """Compare an exported file with its network, at several lengths, in the future, in quality.

    Raises UserError saying what differs.
    """
    found = open_onnx(path)
    _reconstructs(found)
    rate, unit = network.sample_rate, network.step_samples or 64
    noisy, clean = check_clip(rate)
    lengths = (unit + unit // 3, rate // 2 + 17, len(noisy))
    worst = 0.0
    for length in lengths:
        wanted, got = _both(network, gain, found, noisy[:length])
        worst = max(worst, _difference(wanted, got, f"a clip of {length} samples"))
    _hears_no_future(found, noisy[: rate + 100])
    return Findings(worst, lengths, _same_quality(clean, wanted, got, rate))


def _both(
    network: SpeechEnhancer, gain: float, found: SpeechEnhancer, noisy: NDArray
) -> tuple[NDArray, NDArray]:
    """What the network and the file make of a clip.

    A file of steps does not know where a clip ends: a network that looks ahead hears silence behind it.
    """
    clip = torch.from_numpy(noisy)[None]
    ahead = network.latency_samples if network.lookahead_samples and found.step_samples else None
    with evaluating(network):
        parameter = next(network.parameters())
        wanted = gain * network(F.pad(clip, (0, ahead or 0)).to(parameter)).float().cpu()
    return wanted[0, : len(noisy)].numpy(), _run(found, clip)


def _run(found: SpeechEnhancer, clip: Tensor) -> NDArray:
    try:
        with torch.no_grad():
            return found(clip)[0].numpy()
    except Exception as error:
        reason = first_line(error)
        raise UserError(
            f"onnxruntime fails on {clip.shape[1]} samples: {reason[:200].rstrip('.')}."
        ) from None


def _difference(wanted: NDArray, got: NDArray, what: str) -> float:
    if got.shape != wanted.shape:
        raise UserError(f"{what} comes back as {got.shape[0]} samples.")
    difference = float(np.abs(got - wanted).max()) / max(1.0, float(np.abs(wanted).max()))
    if not difference <= MOST_DIFFERENCE:
        raise UserError(f"{what} differs from PyTorch's by {difference:.2g} of full scale.")
    return difference


def _reconstructs(found: SpeechEnhancer) -> None:
    """Where the program outside makes frames, window and hop alone have to give the waveform back."""
    if not isinstance(found, FrameEnhancer):
        return
    frames = found.frames
    x = torch.randn(
        1, 8 * frames.length // frames.hop * frames.hop, generator=torch.Generator().manual_seed(0)
    )
    back = frames.inverse(frames(x, Memory()), Memory())
    if (back[:, frames.delay :] - x[:, : -frames.delay]).abs().max() > MOST_DIFFERENCE:
        raise UserError(f"a window of {frames.length} samples does not reconstruct at a hop of {frames.hop}.")


def _hears_no_future(found: SpeechEnhancer, noisy: NDArray) -> None:
    """Another future changes nothing that lies further back than the latency."""
    if found.latency_samples is None or found.latency_samples >= len(noisy) // 2:
        return
    for place in _places(found.latency_samples, len(noisy)):
        other = noisy.copy()
        other[place:] = 0.7 * np.sign(noisy[place:])
        before, after = (_run(found, torch.from_numpy(one)[None]) for one in (noisy, other))
        known = place - found.latency_samples + 1
        if np.abs(before[:known] - after[:known]).max() > 1e-6:
            raise UserError(
                f"an output hears later input than {found.latency_samples} samples allow: causality is lost."
            )


def _places(latency: int, length: int) -> Iterator[int]:
    middle = (latency + length) // 2
    yield from (middle, middle + 1, middle + latency // 3)


def _same_quality(clean: NDArray, wanted: NDArray, got: NDArray, rate: int) -> float | None:
    scores = [_wb_pesq(clean, enhanced, rate) for enhanced in (wanted, got)]
    if scores[0] is None or scores[1] is None:
        return None
    if abs(scores[0] - scores[1]) > MOST_PESQ_DIFFERENCE:
        raise UserError(f"WB-PESQ of the check clip is {scores[1]:.2f}, where PyTorch has {scores[0]:.2f}.")
    return scores[1]


def _wb_pesq(clean: NDArray, enhanced: NDArray, rate: int) -> float | None:
    """None where there is no pesq here, or the network gives silence."""
    reference, estimate = (resample(one.astype(np.float64), rate, PESQ_RATE) for one in (clean, enhanced))
    try:
        return METRICS["pesq_wb"].value(reference, estimate, PESQ_RATE)
    except (UserError, MetricUndefined):
        return None


def verify_coarse(
    path: Path, network: SpeechEnhancer, gain: float, clips: Sequence[Clip], most_loss: float, precision: str
) -> CoarseFindings:
    """Hear a file in fewer bits on pairs, and compare its quality with the network's.

    clips: those without clean speech do not count; without any, the check clip is taken.
    Raises UserError where it loses more WB-PESQ than `most_loss`, or hears the future.
    """
    metrics_named(["pesq_wb"])  # without it nothing can be said
    found = open_onnx(path)
    rate = network.sample_rate
    checked = Clip(*check_clip(rate))
    _reconstructs(found)
    for length in (network.step_samples or 64, rate // 2 + 17):
        _both(network, gain, found, checked.noisy[:length])
    _hears_no_future(found, checked.noisy[: rate + 100])
    pairs = [clip for clip in clips if clip.clean is not None] or [checked]
    scores = []
    for clip in pairs:
        assert clip.clean is not None
        before, after = (_wb_pesq(clip.clean, one, rate) for one in _both(network, gain, found, clip.noisy))
        if before is not None and after is not None:
            scores.append((before, after))
    if not scores:
        raise UserError("WB-PESQ is defined on none of the clips; calibrate on others.")
    mean_before, mean_after = map(float, np.mean(scores, axis=0))
    told = CoarseFindings(precision, mean_before, mean_after, len(scores))
    if not mean_before - mean_after <= most_loss:
        raise UserError(f"{told.text()[:-1]}, and may lose {most_loss:g} (max_pesq_loss).")
    return told
