"""What moves knowledge from teacher to student. Nothing here knows which network is trained.

Losses bin by bin: spectra -> bin loss (`bin_losses`, `dfkd`) -> patches -> selection -> `dispatch`.
"""

from sedistill.distill.attention import AttentionTransfer
from sedistill.distill.bin_losses import (
    BinLoss,
    ComplexL1,
    ComplexL2,
    GeneralizedKL,
    LogMagnitudeL1,
    MagnitudeL1,
    MagnitudeL2,
)
from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD
from sedistill.distill.dfkd import DFKDLoss
from sedistill.distill.frame_kl import FrameKL
from sedistill.distill.gram import GramSimilarity
from sedistill.distill.layer_attention import LayerAttention
from sedistill.distill.multi_view import MultiViewAttentionTransfer
from sedistill.distill.subband import SubbandKD
from sedistill.distill.waveform import SISNRTarget, WaveformL1, WaveformL2

# The losses by the name a recipe gives them; its keys are what the classes declare. To be listed here is to
# be tested. First those over bins, from which DISPatch selects.
BIN_LOSSES: dict[str, type[BinLoss]] = {
    "l1": MagnitudeL1,
    "l2": MagnitudeL2,
    "log_l1": LogMagnitudeL1,
    "complex_l1": ComplexL1,
    "complex_l2": ComplexL2,
    "dfkd": DFKDLoss,
    "kl_generalized": GeneralizedKL,
}
OTHER_LOSSES: dict[str, type] = {
    "kl": FrameKL,
    "si_snr": SISNRTarget,
    "waveform_l1": WaveformL1,
    "waveform_l2": WaveformL2,
    "clean_and_noise": CleanAndNoiseKD,
    "subband": SubbandKD,
    "attention": AttentionTransfer,
    "multi_view_attention": MultiViewAttentionTransfer,
    "gram": GramSimilarity,
    "layer_attention": LayerAttention,
}
