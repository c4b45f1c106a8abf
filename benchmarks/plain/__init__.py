"""The library's networks once more, as one writes them down at first from PyTorch's own modules.

Yardsticks for speed and a second opinion on the results: every class takes the settings of its counterpart
in the library and its state dict, and gives the same outputs.
"""

from torch import nn

from sedistill.models.base import SpeechEnhancer

from .convtasnet import PlainConvTasNet
from .dccrn import PlainDCCRN
from .dptnet import PlainDPTNet
from .fast_enhancer import PlainFastEnhancer
from .gtcrn import PlainGTCRN
from .manner import PlainMANNER
from .wave_u_net import PlainWaveUNet

PLAIN = {
    "ConvTasNet": PlainConvTasNet,
    "DCCRN": PlainDCCRN,
    "DPTNet": PlainDPTNet,
    "FastEnhancer": PlainFastEnhancer,
    "GTCRN": PlainGTCRN,
    "MANNER": PlainMANNER,
    "WaveUNet": PlainWaveUNet,
}


# Only Conv-TasNet's own form that looks ahead is here, and FastEnhancer without a limit.
NOT_OF_PLAIN = ("sample_rate", "causal", "attenuation_limit_db")


def plain_twin(model: SpeechEnhancer) -> nn.Module:
    """The plain network with the settings, the weights and the mode of `model`."""
    settings = {k: value for k, value in model.settings.items() if k not in NOT_OF_PLAIN}
    twin = PLAIN[type(model).__name__](**settings)
    twin.load_state_dict(model.state_dict())
    return twin.train(model.training)
