"""The networks' own enhancement losses, by the name a network carries in `se_loss`."""

from collections.abc import Callable

import torch
from torch import Tensor

from sedistill.audio.clean_and_noise import clean_and_noise_loss
from sedistill.audio.si_snr import negative_si_snr
from sedistill.audio.spectrum import at_least_float32

# (estimate, clean, noisy: (B, T)) -> one value a clip, (B,); lower is better.
EnhancementLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


def si_snr(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Minus SI-SNR in dB."""
    return negative_si_snr(estimate, clean)


def mean_squared_error(estimate: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Mean over time of the squared difference of the waveforms (D of KDRL for Wave-U-Net)."""
    with torch.autocast(estimate.device.type, enabled=False):
        return (at_least_float32(estimate) - at_least_float32(clean)).square().mean(dim=1)


ENHANCEMENT_LOSSES: dict[str, EnhancementLoss] = {
    "si_snr": si_snr,  # ConvTasNet, DCCRN, DPTNet
    "mse": mean_squared_error,  # Wave-U-Net
    "manner": clean_and_noise_loss,  # MANNER
}
