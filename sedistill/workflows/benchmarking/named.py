"""The networks that are compared, by what a command line says."""

from pathlib import Path

import torch

from sedistill.common.devices import keeping_torch_state
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import PRESETS, build_model
from sedistill.models.ready_made import is_ready_made
from sedistill.models.saving import load_model


def is_untrained(model: str) -> bool:
    """Whether this names a preset alone, whose cost can be known before it is trained."""
    return model in PRESETS and not is_ready_made(model) and not Path(model).exists()


def network_of(model: str) -> SpeechEnhancer:
    """A saved model, or a preset with weights drawn from one seed. Raises UserError."""
    if not is_untrained(model):
        return load_model(model)
    with keeping_torch_state():
        torch.manual_seed(0)
        return build_model(model).eval()
