"""What is compared: networks and denoisers from elsewhere, each in the ways in which it can be run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError, nearest
from sedistill.evaluation.labels import distinct_labels
from sedistill.models.base import SpeechEnhancer
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.ready_made import saved_folder
from sedistill.models.saving import WEIGHTS
from sedistill.teachers.opening import open_foreign, settings_of
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.workflows.benchmarking.named import is_untrained, network_of

WAYS = ("eager", "compiled", "onnx", "int8")
USUAL_WAYS = ("eager", "onnx")
FOREIGN = "foreign"


@dataclass(frozen=True)
class Subject:
    """A network, or a denoiser from elsewhere (`settings`), under its label."""

    label: str
    model: str
    network: SpeechEnhancer | None = None
    settings: TeacherFrom | None = None
    trained: bool = True

    @property
    def parameters(self) -> int | None:
        return None if self.network is None else parameters(self.network)

    @property
    def macs_per_second(self) -> int | None:
        return None if self.network is None else macs_per_second(self.network)

    def bytes_of(self, way: str) -> int | None:
        """Of the file that holds it, where there is one."""
        if self.settings is not None:
            place = getattr(self.settings, self.settings.kind)
            return Path(place).stat().st_size if Path(str(place)).is_file() else None
        return (saved_folder(self.model) / WEIGHTS).stat().st_size if self.trained else None


@dataclass(frozen=True)
class Case:
    """A subject in a way."""

    subject: Subject
    way: str

    @property
    def label(self) -> str:
        return label_of(self.subject.label, self.way)


def label_of(network: str, way: str) -> str:
    """What a case is called."""
    return network if way == FOREIGN else f"{network} {way}"


def subjects_of(
    models: Sequence[Path | str | Mapping[str, Any]], files: Sequence[Path | str]
) -> list[Subject]:
    """Raises UserError for nothing to compare, and for what is neither network nor denoiser."""
    given = [*models, *({"onnx": str(file)} for file in files)]
    if not given:
        raise UserError("nothing to compare; name networks, or files with --onnx.")
    settings = [settings_of(one) for one in given]
    places = [
        saved_folder(str(one)) if of is None else _place_of(of)
        for one, of in zip(given, settings, strict=True)
    ]
    return [
        _network(label, str(one)) if of is None else _from_elsewhere(label, of)
        for label, one, of in zip(distinct_labels(places, what="model"), given, settings, strict=True)
    ]


def _place_of(settings: TeacherFrom) -> Path:
    """What its label is made of."""
    named = str(getattr(settings, settings.kind))
    return Path(named if Path(named).exists() else settings.name.replace("/", "-"))


def _from_elsewhere(label: str, settings: TeacherFrom) -> Subject:
    text = json.dumps(settings.model_dump(mode="json", exclude_none=True))
    open_foreign(settings)  # else it would be told only once the others are measured
    return Subject(label, text, settings=settings)


def _network(label: str, model: str) -> Subject:
    return Subject(label, model, network_of(model), trained=not is_untrained(model))


def cases_of(subjects: Sequence[Subject], ways: Sequence[str]) -> Iterator[Case]:
    """Raises UserError for a way that there is not."""
    for way in ways:
        if way not in WAYS:
            raise UserError(f"there is no way '{way}'{nearest(way, WAYS)}; choose from {', '.join(WAYS)}.")
    for subject in subjects:
        for way in [FOREIGN] if subject.settings is not None else ways:
            yield Case(subject, way)
