"""The terms of distillation in a recipe. Their keys are what the losses declare (`sedistill.distill`)."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import Field, SerializeAsAny, WrapValidator, create_model, model_validator
from torch import nn

from sedistill.audio.spectrum import Stft
from sedistill.common.argument_checks import annotations_of
from sedistill.common.errors import UserError, nearest
from sedistill.common.extensions import find_part, installed
from sedistill.common.settings import Settings
from sedistill.distill import BIN_LOSSES, OTHER_LOSSES
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.frequency_adapter import FrequencyAdapter
from sedistill.distill.patches import PATCHES
from sedistill.training.tasks import Objective

Keys = dict[str, tuple[Any, Any]]
"""Type with bounds and description, and default, by the name of a setting."""

PATCH_KEYS = ("keep", "patches", "score", "patch_size", "patch_frames", "gate", "threshold", "keep_schedule")
"""What asks DISPatch to select."""


def keys_of(loss: Any) -> Keys:
    """The settings with a description of a class's constructor and, where it has one, of its `between`."""
    keys: Keys = {}
    for maker in (loss.__init__, *([loss.between] if hasattr(loss, "between") else [])):
        types_of = annotations_of(maker)
        for name, parameter in inspect.signature(maker).parameters.items():
            if any(getattr(mark, "description", None) for mark in get_args(types_of.get(name))[1:]):
                default = ... if parameter.default is parameter.empty else parameter.default
                keys[name] = (_read(types_of[name]), list(default) if isinstance(default, tuple) else default)
    return dict(sorted(keys.items(), key=lambda item: item[0] != "target"))


def _read(kind: Any) -> Any:
    """A type as YAML gives its values: sequences are lists."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[(_read(inner[0]), *inner[1:])]
    if origin in (Union, types.UnionType):
        return reduce(or_, map(_read, inner))
    return list[_read(inner[0])] if origin is Sequence else kind  # type: ignore[misc]


def _left_out(keys: Keys, **bounds: Any) -> Keys:
    """The same keys, where null leaves the value to the class."""
    return {
        name: (Annotated[(kind.__origin__ | None, *kind.__metadata__, Field(**bounds))], None)
        for name, (kind, _) in keys.items()
    }


class ObjectiveSettings(Settings):
    """One term of the distillation loss, of one of the `losses`."""

    losses: ClassVar[Mapping[str, type]]

    loss: str
    weight: float = Field(
        1.0, ge=0, le=1e9, description="Weight among the objectives; kd_weight scales their sum."
    )

    def build(self, student: nn.Module, teacher: nn.Module | None) -> Objective:
        """The loss; the networks are looked at only by those that compare their insides. Raises UserError."""
        if self.compares_features and teacher is None:
            raise UserError(
                f"loss: {self.loss} compares features with a teacher's, but `teacher` is missing; "
                "name a saved model."
            )
        loss: Any = self.losses[self.loss]
        return loss.between(student, teacher, **self._own) if hasattr(loss, "between") else loss(**self._own)

    @property
    def compares_features(self) -> bool:
        """Whether what goes on inside the student is compared with what does in the teacher."""
        needs = getattr(self.losses[self.loss], "needs", ())
        return isinstance(needs, tuple) and "student_features" in needs

    @property
    def name(self) -> str:
        """Short, for logs: such as "si_snr" or "waveform_l1>clean"."""
        log_name = getattr(self.losses[self.loss], "log_name", None)
        short = self.loss.rpartition(".")[2]
        name = short if log_name is None else log_name(short, self._own)
        target = type(self).model_fields.get("target")
        as_usual = target is None or target.default == self._own["target"]
        return name if as_usual else f"{name}>{self._own['target']}"

    @property
    def _own(self) -> dict[str, Any]:
        """The settings of the loss itself."""
        return {key: getattr(self, key) for key in type(self).model_fields if key not in ("loss", "weight")}

    @model_validator(mode="before")
    @classmethod
    def _refuse_patches(cls, given: Any) -> Any:
        asked = [key for key in PATCH_KEYS if key in given]
        if asked and asked[0] not in cls.model_fields and given.get("keep") != 1:
            loss = cls.losses.get(given.get("loss"))
            why = getattr(loss, "why_no_patches", "it has no patches; take it out.")
            raise ValueError(f"{asked[0]} does not go with {given.get('loss')}: {why}")
        return given

    @model_validator(mode="after")
    def _settings_go_together(self) -> "ObjectiveSettings":
        try:
            self._refuse()
            if not hasattr(self.losses[self.loss], "between"):
                self.build(nn.Module(), nn.Module())
        except UserError as fault:
            raise ValueError(str(fault)) from None
        return self

    def _refuse(self) -> None:
        """Raises UserError where settings exclude each other."""
        loss: Any = self.losses[self.loss]
        if hasattr(loss, "refuse"):
            loss.refuse(self._own, self.model_fields_set)


class BinObjective(ObjectiveSettings):
    """A loss over bins, in all of them or in those that DISPatch selects.

    Its keys are those of the losses, their frequency adapter, DISPatch and the patches, side by side.
    """

    def build(self, student: nn.Module, teacher: nn.Module | None) -> DISPatch:
        loss, own = self.losses[self.loss], {key: one for key, one in self._own.items() if one is not None}

        def given(declared: Any) -> dict[str, Any]:
            return {name: own[key] for name, key in _key_names(declared).items() if key in own}

        adapter, patches = FrequencyAdapter(**given(FrequencyAdapter)), PATCHES[own["patches"]]

        def with_adapter(kind: type[BinLoss], **settings: Any) -> BinLoss:
            return kind(**settings, **({"adapter": adapter} if _has_bands(kind) else {}))

        metric = own.get("gap_metric")
        return DISPatch(
            with_adapter(loss, **given(loss)),
            patches=patches(**given(patches)),
            adapter=adapter if own["patches"] == "multi-scale" else None,
            gap_metric=None if metric is None else with_adapter(BIN_LOSSES[metric]),
            **given(DISPatch),
        )

    @property
    def name(self) -> str:
        """Such as "dfkd+dispatch+mssp", "l2+teacher_over_noisy" or "l2>clean"."""
        own, name = self._own, self.loss.rpartition(".")[2]
        if own["keep"] < 1 or own["keep_schedule"] != "constant" or own["threshold"] is not None:
            name += "+dispatch" if own["score"] == "kgs" else f"+{own['score']}"
        if own["gate"] is not None:
            name += f"+{own['gate']}"
        if own["patches"] == "multi-scale":
            name += "+mssp"
        if own["reduction"] == "bands":
            name += "+bands"
        return name if own["target"] == "teacher" else f"{name}>{own['target']}"

    def _refuse(self) -> None:
        """What means something for some losses, or one way to cut patches, is refused with the others."""
        own = self._own
        owners: dict[str, tuple[str, list[str]]] = {}
        for loss, kind in self.losses.items():
            for key in keys_of(kind):
                owners.setdefault(key, ("loss", []))[1].append(loss)
        banded = [loss for loss, kind in self.losses.items() if _has_bands(kind)] or ["dfkd"]
        owners |= dict.fromkeys(("swap_bands", "reduction"), ("loss", banded))
        for patches, kind in PATCHES.items():
            for key in _key_names(kind).values():
                owners.setdefault(key, ("patches", []))[1].append(patches)
        for key, (selector, names) in owners.items():
            if own[key] is not None and getattr(self, selector) not in names:
                raise UserError(f"{key} belongs to {selector}: {' or '.join(names)}; take it out.")
        banded_too = own["gap_metric"] is not None and _has_bands(BIN_LOSSES[own["gap_metric"]])
        reads_crossover = _has_bands(self.losses[self.loss]) or banded_too or own["patches"] == "multi-scale"
        if not reads_crossover and not own["scan"] is own["min_bin"] is None:
            raise UserError("scan and min_bin belong to dfkd or multi-scale patches; take them out.")


def _has_bands(loss: Any) -> bool:
    return "adapter" in inspect.signature(loss).parameters


def _key_names(declared: Any) -> dict[str, str]:
    """The recipe's key by the name of a setting: its alias, where it has one."""
    keys = keys_of(declared)
    return {
        name: next((m.alias for m in kind.__metadata__ if m.alias), name) for name, (kind, _) in keys.items()
    }


def _bin_keys(losses: Iterable[Any]) -> Keys:
    dispatch = keys_of(DISPatch)
    keys = {"target": dispatch.pop("target")}
    for part in (*losses, FrequencyAdapter):
        keys |= _left_out(keys_of(part))
    keys |= _left_out({"reduction": dispatch.pop("reduction")}) | dispatch
    keys["patches"] = (
        Annotated[Literal[tuple(PATCHES)], Field(description="multi-scale is MSSP.")], "uniform"
    )  # fmt: skip
    for kind in PATCHES.values():
        names = _key_names(kind)
        for name, key in keys_of(kind).items():
            bounds = {} if name == "frames" else {"le": Stft().bins}
            keys |= {names[name]: _left_out({name: key}, **bounds)[name]}
    what = "By which loss over bins errors towards clean are taken, for ranking and gates; null = by `loss`."
    keys["gap_metric"] = (Annotated[Literal[tuple(BIN_LOSSES)] | None, Field(description=what)], None)
    return keys


def objective_kind(losses: Mapping[str, Any]) -> type[ObjectiveSettings]:
    """What a recipe may say of some losses that have the same settings, or are all over bins."""
    over_bins = all(issubclass(loss, BinLoss) for loss in losses.values())
    first = next(iter(losses.values()))
    make: Any = create_model  # its names are known at run time alone
    kind = make(
        f"{first.__name__}Objective",
        __base__=BinObjective if over_bins else ObjectiveSettings,
        loss=(Literal[tuple(losses)], ...),
        **(_bin_keys(losses.values()) if over_bins else keys_of(first)),
    )
    kind.losses = losses
    return kind


KINDS = [
    objective_kind(BIN_LOSSES),
    *(objective_kind(dict(alike)) for _, alike in groupby(OTHER_LOSSES.items(), lambda one: keys_of(one[1]))),
]


def _or_of_another_package(given: Any, read: Callable[[Any], ObjectiveSettings]) -> ObjectiveSettings:
    """Of a loss that is not of this package, named by `loss` or `class`, the kind is made here."""
    if isinstance(given, ObjectiveSettings):
        return given
    if not isinstance(given, Mapping) or not {"loss", "class"} & given.keys():
        return read(given)
    rest = {key: value for key, value in given.items() if key != "class"}
    name = rest.setdefault("loss", given.get("class"))
    if not isinstance(name, str) or name in LOSSES or not ("." in name or name in installed("losses")):
        return read(rest)
    try:
        kind = kind_of_another_package(name)
    except UserError as fault:
        raise ValueError(str(fault)) from None
    for key in rest:
        if key not in kind.model_fields and key not in PATCH_KEYS:
            raise ValueError(f"{name} has no setting '{key}'{nearest(key, kind.model_fields)}")
    return kind.model_validate(rest)


def kind_of_another_package(name: str) -> type[ObjectiveSettings]:
    """What a recipe may say of a loss of another package. Raises UserError where it cannot be had."""
    return objective_kind({name: find_part("losses", name, LOSSES, "loss", _is_loss)})


def _is_loss(part: Any) -> bool:
    return isinstance(part, type) and (issubclass(part, BinLoss) or hasattr(part, "with_parts"))


LOSSES = {**BIN_LOSSES, **OTHER_LOSSES}
if TYPE_CHECKING:
    AnyObjective = ObjectiveSettings
else:
    # Which of them a mapping describes is told by its `loss`.
    AnyObjective = Annotated[
        reduce(or_, KINDS),
        Field(discriminator="loss"),
        WrapValidator(_or_of_another_package),
        SerializeAsAny(),
    ]


def objective_names(objectives: Sequence[ObjectiveSettings]) -> list[str]:
    """Short, distinct names for logs."""
    names: list[str] = []
    for settings in objectives:
        names.append(settings.name if settings.name not in names else f"{settings.name}#{len(names)}")
    return names
