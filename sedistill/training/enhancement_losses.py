"""The networks' own enhancement losses, by the name a network carries in `se_loss`."""

from collections.abc import Callable

from torch import Tensor

from sedistill.audio.si_snr import negative_si_snr

# (estimate, clean: (B, T)) -> one value a clip, (B,); lower is better.
ENHANCEMENT_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "si_snr": negative_si_snr,  # ConvTasNet and DCCRN, in dB
}
