"""sedistill: knowledge distillation for small speech-enhancement networks.

The public names load on first use, so that `import sedistill` stays fast and needs no heavy package.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Stft": "sedistill.audio.spectrum",
    "MagnitudeL1": "sedistill.distill.bin_losses",
    "MagnitudeL2": "sedistill.distill.bin_losses",
    "ComplexL1": "sedistill.distill.bin_losses",
    "ComplexL2": "sedistill.distill.bin_losses",
    "GeneralisedKL": "sedistill.distill.bin_losses",
    "DFKDLoss": "sedistill.distill.dfkd",
    "FrequencyAdapter": "sedistill.distill.crossover",
    "UniformPatches": "sedistill.distill.patches",
    "MultiScalePatches": "sedistill.distill.patches",
    "DISPatch": "sedistill.distill.dispatch",
    "FrameKL": "sedistill.distill.frame_kl",
    "SISNRTarget": "sedistill.distill.waveform",
    "WaveformL1": "sedistill.distill.waveform",
    "WaveformL2": "sedistill.distill.waveform",
    "CleanAndNoiseKD": "sedistill.distill.clean_and_noise",
    "SubbandKD": "sedistill.distill.subband",
    "Taps": "sedistill.distill.taps",
    "AttentionTransfer": "sedistill.distill.attention",
    "MultiViewAttentionTransfer": "sedistill.distill.multi_view",
    "GramSimilarity": "sedistill.distill.gram",
    "LayerAttention": "sedistill.distill.layer_attention",
    "build_model": "sedistill.models.presets",
    "load_model": "sedistill.models.saving",
    "save_model": "sedistill.models.saving",
    "enhance": "sedistill.enhancing",
    "evaluate": "sedistill.evaluation.evaluate",
    "distil": "sedistill.distilling.distil",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sedistill' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
