"""sedistill: knowledge distillation for small speech-enhancement networks.

Enhance speech with a ready-made network:

>>> import numpy as np, sedistill
>>> noisy = np.random.default_rng(0).normal(0, 0.1, 16_000).astype("float32")
>>> sedistill.enhance("fastenhancer-t", noisy, sample_rate=16_000).shape
(16000,)

Distil in a training loop of your own, on waveforms (batch, samples):

>>> import torch
>>> student, teacher, clean = torch.randn(3, 2, 16_000)
>>> kd = sedistill.DISPatch(sedistill.DFKDLoss(), sedistill.MultiScalePatches(10, 40), keep=0.8)
>>> loss = 0.5 * sedistill.negative_si_snr(student, clean).mean() + 0.5 * kd(student, teacher, clean)

Make a small network from two folders of recordings, in an hour:

>>> mine = sedistill.distil("mine", clean="SPEECH", noise="NOISE", hours=1)  # doctest: +SKIP
>>> sedistill.enhance_files(mine.student, ["meeting.wav"], "clean.wav")  # doctest: +SKIP

The same by steps: `prepare`, `mix`, `train`, `evaluate`, `compare`. The public names load on first use, so
that `import sedistill` stays fast and needs no heavy package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sedistill.common.errors import nearest

if TYPE_CHECKING:  # what editors and type checkers see; tests/test_public_names.py holds it equal to _HOMES
    from sedistill.audio.pesq_hearing import pesq_distance as pesq_distance
    from sedistill.audio.si_snr import negative_si_snr as negative_si_snr
    from sedistill.audio.spectrum import Stft as Stft
    from sedistill.common.extensions import trusting_code as trusting_code
    from sedistill.data.mixed_sets import mix as mix
    from sedistill.data.mixing import MixingSettings as MixingSettings
    from sedistill.data.preparation import prepare as prepare
    from sedistill.distill.attention import AttentionTransfer as AttentionTransfer
    from sedistill.distill.bin_losses import BinLoss as BinLoss
    from sedistill.distill.bin_losses import ComplexL1 as ComplexL1
    from sedistill.distill.bin_losses import ComplexL2 as ComplexL2
    from sedistill.distill.bin_losses import GeneralizedKL as GeneralizedKL
    from sedistill.distill.bin_losses import LogMagnitudeL1 as LogMagnitudeL1
    from sedistill.distill.bin_losses import MagnitudeL1 as MagnitudeL1
    from sedistill.distill.bin_losses import MagnitudeL2 as MagnitudeL2
    from sedistill.distill.clean_and_noise_kd import CleanAndNoiseKD as CleanAndNoiseKD
    from sedistill.distill.dfkd import DFKDLoss as DFKDLoss
    from sedistill.distill.dispatch import DISPatch as DISPatch
    from sedistill.distill.feature_objective import PairedFeatures as PairedFeatures
    from sedistill.distill.frame_kl import FrameKL as FrameKL
    from sedistill.distill.frequency_adapter import FrequencyAdapter as FrequencyAdapter
    from sedistill.distill.gram import GramSimilarity as GramSimilarity
    from sedistill.distill.layer_attention import LayerAttention as LayerAttention
    from sedistill.distill.multi_view import MultiViewAttentionTransfer as MultiViewAttentionTransfer
    from sedistill.distill.patches import MultiScalePatches as MultiScalePatches
    from sedistill.distill.patches import UniformPatches as UniformPatches
    from sedistill.distill.signal_objective import SignalObjective as SignalObjective
    from sedistill.distill.subband import SubbandKD as SubbandKD
    from sedistill.distill.taps import Taps as Taps
    from sedistill.distill.waveform import SISNRTarget as SISNRTarget
    from sedistill.distill.waveform import WaveformL1 as WaveformL1
    from sedistill.distill.waveform import WaveformL2 as WaveformL2
    from sedistill.evaluation.command import evaluate as evaluate
    from sedistill.evaluation.comparing.command import compare as compare
    from sedistill.evaluation.scores import load_scores as load_scores
    from sedistill.inference.enhancing.arrays import enhance as enhance
    from sedistill.inference.enhancing.file_jobs import enhance_files as enhance_files
    from sedistill.inference.exporting.command import export as export
    from sedistill.inference.exporting.running import open_onnx as open_onnx
    from sedistill.inference.streaming.stream import Stream as Stream
    from sedistill.models.base import SpeechEnhancer as SpeechEnhancer
    from sedistill.models.presets import build_model as build_model
    from sedistill.models.saving import load_model as load_model
    from sedistill.models.saving import save_model as save_model
    from sedistill.teachers.opening import open_teacher as open_teacher
    from sedistill.teachers.source import Teacher as Teacher
    from sedistill.teachers.source import TeacherSource as TeacherSource
    from sedistill.training.run import train as train
    from sedistill.workflows.advising.command import advise as advise
    from sedistill.workflows.benchmarking.command import benchmark as benchmark
    from sedistill.workflows.distilling.command import distil as distil

__version__ = "0.1.0"

_HOMES = {
    "Stft": "audio.spectrum",
    "negative_si_snr": "audio.si_snr",
    "pesq_distance": "audio.pesq_hearing",
    "LogMagnitudeL1": "distill.bin_losses",
    "MagnitudeL1": "distill.bin_losses",
    "MagnitudeL2": "distill.bin_losses",
    "ComplexL1": "distill.bin_losses",
    "ComplexL2": "distill.bin_losses",
    "GeneralizedKL": "distill.bin_losses",
    "DFKDLoss": "distill.dfkd",
    "FrequencyAdapter": "distill.frequency_adapter",
    "UniformPatches": "distill.patches",
    "MultiScalePatches": "distill.patches",
    "DISPatch": "distill.dispatch",
    "FrameKL": "distill.frame_kl",
    "SISNRTarget": "distill.waveform",
    "WaveformL1": "distill.waveform",
    "WaveformL2": "distill.waveform",
    "CleanAndNoiseKD": "distill.clean_and_noise_kd",
    "SubbandKD": "distill.subband",
    "Taps": "distill.taps",
    "BinLoss": "distill.bin_losses",
    "SignalObjective": "distill.signal_objective",
    "PairedFeatures": "distill.feature_objective",
    "SpeechEnhancer": "models.base",
    "trusting_code": "common.extensions",
    "AttentionTransfer": "distill.attention",
    "MultiViewAttentionTransfer": "distill.multi_view",
    "GramSimilarity": "distill.gram",
    "LayerAttention": "distill.layer_attention",
    "Teacher": "teachers.source",
    "TeacherSource": "teachers.source",
    "open_teacher": "teachers.opening",
    "build_model": "models.presets",
    "load_model": "models.saving",
    "save_model": "models.saving",
    "prepare": "data.preparation",
    "mix": "data.mixed_sets",
    "MixingSettings": "data.mixing",
    "train": "training.run",
    "enhance": "inference.enhancing.arrays",
    "enhance_files": "inference.enhancing.file_jobs",
    "Stream": "inference.streaming.stream",
    "export": "inference.exporting.command",
    "open_onnx": "inference.exporting.running",
    "evaluate": "evaluation.command",
    "load_scores": "evaluation.scores",
    "compare": "evaluation.comparing.command",
    "advise": "workflows.advising.command",
    "benchmark": "workflows.benchmarking.command",
    "distil": "workflows.distilling.command",
}
"""Public name -> its module."""

__all__ = ["__version__", *_HOMES]


if not TYPE_CHECKING:  # hidden from checkers, so that they too notice a mistyped name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            text = f"module 'sedistill' has no attribute '{name}'{nearest(name, _HOMES)}"
            raise AttributeError(text, name=name, obj=None)  # so that Python does not name the near one again
        return getattr(import_module(f"sedistill.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
