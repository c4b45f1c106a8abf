"""The forms in which other people's loops hold signals, brought to the one that losses work on."""

import torch
from torch import Tensor

from sedistill.audio.spectrum import at_least_float32
from sedistill.common.batch_axes import refuse_swapped_batch


def refuse_no_signal(signal: object) -> None:
    """Raise TypeError unless it is a tensor of floating point (or complex), ValueError where it is empty."""
    if not isinstance(signal, Tensor):
        raise TypeError(f"a signal is a torch tensor, not {type(signal).__name__}")
    if not (signal.is_floating_point() or signal.is_complex()):
        kind = str(signal.dtype).removeprefix("torch.")
        raise TypeError(f"a signal is floating point with full scale 1.0, not {kind}; convert it first")
    if signal.numel() == 0:
        raise ValueError(f"a signal of shape {tuple(signal.shape)} holds nothing; leave such batches out")


def clips_of(waveform: Tensor, dims: int = 1) -> Tensor:
    """(B, T), (B, 1, T) or (B, C, T) to (B C, T): every channel is a clip of its own.

    dims: those of one clip, T; 2 where a clip has several waveforms, (N, T).
    Raises ValueError where samples lie on another axis than the last, or there are none, and TypeError for
    all but a tensor of floating point.
    """
    refuse_no_signal(waveform)
    if waveform.is_complex():
        raise TypeError("a waveform is real; spectrograms go into DISPatch(...).on_spectra")
    clips = waveform.flatten(0, 1) if waveform.ndim == dims + 2 else waveform
    if clips.ndim == dims + 1:
        refuse_swapped_batch(clips, "(batch, samples) or (batch, channels, samples)")
    return clips


def spectra_of(spectrogram: Tensor) -> Tensor:
    """A spectrogram to complex (B C, F, K), in single precision at least.

    It may be complex, (B, F, K) or (B, C, F, K), or have real and imaginary parts as its last dimension of 2.
    Raises ValueError or TypeError for all else.
    """
    refuse_no_signal(spectrogram)
    complex_ = spectrogram
    if not spectrogram.is_complex() and spectrogram.ndim in (4, 5) and spectrogram.shape[-1] == 2:
        parts = at_least_float32(spectrogram)
        in_pairs = parts.stride(-1) == 1 and not any(step % 2 for step in parts.stride()[:-1])
        complex_ = torch.view_as_complex(parts if in_pairs else parts.contiguous())
    complex_ = complex_.flatten(0, 1) if complex_.ndim == 4 else complex_
    if complex_.ndim != 3 or not complex_.is_complex():
        kind = str(spectrogram.dtype).removeprefix("torch.")
        raise ValueError(
            "a spectrogram is complex with the shape (batch, bins, frames), or real with "
            f"(batch, bins, frames, 2), not {kind} {tuple(spectrogram.shape)}"
        )
    return at_least_float32(complex_).resolve_conj()
