"""Networks: noisy waveform (B, T) to enhanced waveform (B, T). Independent of distillation."""

from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, model_hash, save_model

__all__ = ["build_model", "load_model", "model_hash", "save_model"]
