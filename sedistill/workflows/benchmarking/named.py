"""The networks that are compared, by what a command line says."""

from pathlib import Path

import torch

from sedistill.common.devices import keeping_torch_state
from sedistill.common.errors import UserError, nearest
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import LIST, PRESETS, build_model
from sedistill.models.ready_made import is_ready_made, ready_made_names
from sedistill.models.saving import load_model


def is_untrained(model: str) -> bool:
    """Whether this names a preset alone, whose cost can be known before it is trained."""
    return model in PRESETS and not is_ready_made(model) and not Path(model).exists()


def network_of(model: str) -> SpeechEnhancer:
    """A saved model, or a preset with weights drawn from one seed. Raises UserError."""
    if not is_untrained(model):
        _refuse_misspelt(model)
        return load_model(model)
    with keeping_torch_state():
        torch.manual_seed(0)
        return build_model(model).eval()


def _refuse_misspelt(model: str) -> None:
    """A plain name of nothing: a preset may have been meant as well as a saved model."""
    if Path(model).name != model or is_ready_made(model) or Path(model).exists():
        return
    known = dict.fromkeys([*ready_made_names(), *PRESETS])
    raise UserError(f"{model} is not a saved model, nor a preset{nearest(model, known, LIST)}")
