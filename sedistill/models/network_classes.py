"""The networks of this package by the names of their classes, and those of others by their paths."""

from typing import Any

from sedistill.common.extensions import find_part, path_of
from sedistill.models.base import SpeechEnhancer
from sedistill.models.clean_unet import CleanUNet
from sedistill.models.convtasnet import ConvTasNet
from sedistill.models.dccrn import DCCRN
from sedistill.models.demucs import DEMUCS
from sedistill.models.dptnet import DPTNet
from sedistill.models.e3net import E3Net
from sedistill.models.fast_enhancer import FastEnhancer
from sedistill.models.gtcrn import GTCRN
from sedistill.models.manner import MANNER
from sedistill.models.tstnn import TSTNN
from sedistill.models.wave_u_net import WaveUNet

NETWORKS: dict[str, type[SpeechEnhancer]] = {
    network.__name__: network
    for network in (
        ConvTasNet,
        DCCRN,
        DPTNet,
        GTCRN,
        FastEnhancer,
        MANNER,
        WaveUNet,
        DEMUCS,
        TSTNN,
        CleanUNet,
        E3Net,
    )
}


def network_class(name: str) -> type[SpeechEnhancer]:
    """The class of that name or path (see `common.extensions`). Raises UserError where there is none."""
    return find_part("networks", name, NETWORKS, "network class", _is_network)


def network_name(network: type[SpeechEnhancer]) -> str:
    """The name by which `network_class` finds a class again: its path, for one of another package."""
    ours = NETWORKS.get(network.__name__) is network
    return network.__name__ if ours else path_of(network)


def _is_network(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, SpeechEnhancer)
