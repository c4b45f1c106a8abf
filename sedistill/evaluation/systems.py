"""What is scored: the noisy input itself, saved networks, other teachers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sedistill.common import ranks
from sedistill.common.devices import choose_device
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.labels import distinct_labels
from sedistill.evaluation.scores import NOISY
from sedistill.inference.enhancing.arrays import enhance, level_factor, rate_of
from sedistill.models.ready_made import is_ready_made, saved_folder
from sedistill.models.saving import load_model, model_hash, read_card, settings_hash
from sedistill.teachers.foreign import InStep
from sedistill.teachers.opening import open_foreign, open_teacher, settings_of
from sedistill.teachers.packaged import is_packaged, packaged_teacher
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import TeacherFrom

AnyModel = Path | str | Mapping[str, Any] | TeacherFrom
"""A saved model by its folder or name, or any other teacher (docs/teachers.md)."""


@dataclass(frozen=True)
class System:
    """Something to score: the noisy input itself, a network, or another teacher, applied to it."""

    label: str
    network: nn.Module | None
    facts: dict[str, Any]
    correct_level: bool = True
    teacher: TeacherSource | None = None

    def __call__(
        self, noisy: NDArray[np.float32], sample_rate: int, clip: tuple[FixedSet, int] | None = None
    ) -> NDArray[np.float32]:
        """The estimate for a waveform; `clip` is the set and clip whose noisy file it is, if it is one."""
        if self.teacher is not None:
            return self.teacher.on_wave(noisy) if clip is None else self.teacher.on_clip(*clip)
        if self.network is None:
            return noisy
        return enhance(self.network, noisy, sample_rate, self.correct_level, chunk_seconds=None)


NOISY_SYSTEM = System(NOISY, None, {})


def systems_of(models: Sequence[nn.Module | AnyModel], correct_level: bool, pairs: FixedSet) -> list[System]:
    """Load every model; the labels are the folders' names, or what tells their paths apart.

    pairs: on which a teacher that is no saved model is measured.
    """
    settings = [None if isinstance(model, nn.Module) else settings_of(model) for model in models]
    labels = distinct_labels([*map(_place_of, models, settings)], what="model", taken=NOISY)
    return [
        _network_system(label, model, correct_level)
        if isinstance(model, nn.Module) or (one is None and not is_packaged(str(model)))
        else _teacher_system(label, one or model, correct_level, pairs)
        for label, model, one in zip(labels, models, settings, strict=True)
    ]


def is_of(facts: Mapping[str, Any], model: AnyModel, sample_rate: int) -> bool:
    """Whether facts about a system are those of this model as it is now."""
    if (settings := settings_of(model)) is not None:
        delay = facts.get("delay_samples")
        return delay is not None and facts["hash"] == InStep(open_foreign(settings), sample_rate, delay).hash
    assert isinstance(model, Path | str)
    if is_packaged(model):
        return bool(facts.get("hash") == packaged_teacher(model).hash)
    card = read_card(model)
    gain, network = float(card["output_gain"]), settings_hash(card)
    if facts.get("network") not in (None, network):  # evaluations of earlier versions do not say it
        return False
    return (facts.get("hash"), facts.get("output_gain")) == (model_hash(model), gain)


def _place_of(model: Any, settings: TeacherFrom | None) -> Path:
    """What a label is made of."""
    if settings is not None:
        return Path(settings.name.replace("/", "-"))
    if isinstance(model, nn.Module):
        return Path(str(getattr(model, "preset", None) or type(model).__name__))
    return saved_folder(model)


def _network_system(label: str, model: Any, correct_level: bool) -> System:
    device = choose_device("auto", ranks.local_rank())
    saved = None if isinstance(model, nn.Module) else saved_folder(model)
    network = model if saved is None else load_model(saved, str(device))
    gain = level_factor(network)
    card = getattr(network, "card", {})
    training = card.get("training", {})
    if saved is not None and is_ready_made(model):
        saved, training = None, {}  # it goes by its label, whatever its recipe was called
    facts = {
        "folder": None if saved is None else str(saved),
        "hash": model_hash(network),
        "network": settings_hash(card) if card else None,
        "sample_rate": rate_of(network),
        "recipe": training.get("recipe"),
        "seed": training.get("seed"),
        "output_gain": gain,
        "output_multiplied_by": gain if correct_level else 1.0,
    }
    return System(label, network, facts, correct_level)


def _teacher_system(label: str, teacher: AnyModel, correct_level: bool, pairs: FixedSet) -> System:
    source = open_teacher(teacher, pairs.sample_rate, correct_level, on=pairs)
    facts = {
        "folder": None, "hash": source.hash, "recipe": None, "seed": None, **source.facts(),
        "output_multiplied_by": source.level_factor,
    }  # fmt: skip
    return System(label, None, facts, correct_level, source)
