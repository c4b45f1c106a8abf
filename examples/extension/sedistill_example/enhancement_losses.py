"""A loss of a network's own, between its estimate and the clean speech."""

from torch import Tensor

from sedistill import Stft


def log_spectrum(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Mean | log|E| - log|S| | of each clip: waveforms (B, T) to values (B,), lower is better."""
    estimated, wanted = ((Stft()(wave).abs() + 1e-3).log() for wave in (estimate, clean))
    return (estimated - wanted).abs().mean(dim=(1, 2))
