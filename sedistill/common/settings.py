"""Settings: typed, readable from YAML, overridable by `key=value`, and refused in one clear sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sedistill.common.errors import UserError
from sedistill.common.overrides import apply_override
from sedistill.common.paths import written_out
from sedistill.common.reading import require_file
from sedistill.common.setting_faults import first_fault, value_text
from sedistill.common.yaml_files import read_yaml


class _Group(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, given: Any) -> Any:
        """pydantic would take true for 1."""
        for key, value in given.items() if isinstance(given, Mapping) else ():
            field = cls.model_fields.get(key)
            if field and _holds_bool(value) and bool not in _types_in(field.annotation):
                raise PydanticCustomError(
                    "bool", "it must not be true or false", {"key": key, "value": value}
                )
        return given


def _types_in(annotation: Any) -> set[Any]:
    if annotation is Any:
        return {bool}  # anything goes
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    inner = {kind for one in get_args(annotation) for kind in _types_in(one)}
    return inner | ({annotation} if isinstance(annotation, type) else set())


def _holds_bool(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_bool(inner) for inner in value)
    return isinstance(value, bool)


class Settings(_Group):
    """A group of settings. Unknown keys are errors, numbers are finite, values stay as they were read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # the text below a field is its description
    )

    if not TYPE_CHECKING:  # checkers know the keys by themselves

        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**given)
            except ValidationError as error:  # made in Python; what a file says is told with its place
                fault = first_fault(type(self), error, given)
                raise UserError(f"{type(self).__name__}: {fault}") from None

        __init__.__pydantic_base_init__ = True  # so that groups inside of others are read without it


class Record(_Group):
    """What a file that this program wrote has to hold. Keys that other versions add are let through."""

    model_config = ConfigDict(extra="allow", frozen=True)


Count = Annotated[int, Field(ge=1, le=10**9)]
"""Of steps, epochs and the like: at least one, and no more than anybody waits for."""

S = TypeVar("S", bound=_Group)


def load_settings(kind: type[S], path: Path | str, overrides: Sequence[str] = ()) -> S:
    """Read settings from a YAML file and change single keys by `overrides` such as "data.seed=3".

    A file may name another one to start from, relative to itself: `base: base.yaml`; what it says itself
    then wins, group by group. Raises UserError naming file, key and remedy.
    """
    mapping = read_with_base(Path(path))
    for override in overrides:
        apply_override(mapping, override)
    return check_settings(kind, mapping, str(path))


def check_settings(kind: type[S], mapping: Mapping[str, Any], where: str, remedy: str = "") -> S:
    """Validate a mapping against `kind`.

    Raises UserError with one sentence about the first fault, ending with the fault's own remedy or this one.
    """
    try:
        return kind.model_validate(mapping)
    except ValidationError as error:
        fault = first_fault(kind, error, mapping)
        if remedy:
            fault = f"{fault.rstrip('.').removesuffix('; give it a value')}; {remedy}."
        raise UserError(f"{where}: {fault}") from None
    except UnicodeEncodeError:  # text with lone surrogates, such as "\\udce9"
        fault = f"a value holds characters that no text has; {remedy or 'take them out'}."
        raise UserError(f"{where}: {fault}") from None


def settings_of_texts(kind: type[S], overrides: Sequence[str], what: str) -> S:
    """Settings of any kind from texts "key=value". Raises UserError that calls them `what`."""
    mapping: dict[str, Any] = {}
    for override in overrides:
        apply_override(mapping, override)
    return check_settings(kind, mapping, what)


def parts_of(text: str) -> list[str]:
    """What stands between commas, without spaces around it: the one way to read a list in one text."""
    return [part.strip() for part in text.split(",") if part.strip()]


def read_record(
    kind: type[Record], path: Path | str, remedy: str, version: int | None = None
) -> dict[str, Any]:
    """What a YAML file of this program's own says, checked against `kind`, keys of other versions included.

    version: what the key `format_version` has to say, where files of the kind have it.
    Raises UserError naming file and key, ending with `remedy`.
    """
    mapping = read_yaml(path, remedy)
    if version is not None and mapping.get("format_version", version) != version:
        written = value_text(mapping["format_version"])
        raise UserError(f"{path} has format version {written}, this program reads {version}; {remedy}.")
    checked = check_settings(kind, mapping, str(path), remedy).model_dump(by_alias=True, exclude_unset=True)
    return {key: checked[key] for key in mapping}


def read_with_base(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read one YAML mapping, with its `base` (if any) merged underneath. Raises UserError."""
    require_file(path, "give the path of a YAML file" + (f" as the base of {above[-1]}" if above else ""))
    place = path.resolve()
    if place in above:
        raise UserError(f"{path}: `base` leads back to it; take one `base` out.")
    mapping = read_yaml(path)
    base = mapping.pop("base", None)
    if base is None:
        return mapping
    if not isinstance(base, str):
        raise UserError(f"{path}: base = {value_text(base)}: it must be the path of a YAML file.")
    try:
        under = path.parent / written_out(base)
    except ValueError as error:
        raise UserError(f"{path}: base: {error}") from None
    return merged(read_with_base(under, (*above, place)), mapping)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both as one, group by group; where both say something, `over` wins."""
    both = dict(under)
    for key, value in over.items():
        groups = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = merged(both[key], value) if groups else value
    return both
