"""Settings: typed, readable from YAML, overridable by `key=value`, and refused in one clear sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sedistill.errors import UserError, nearest


class Settings(BaseModel):
    """A group of settings. Unknown keys are errors, and values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


S = TypeVar("S", bound=Settings)


def load_settings(kind: type[S], path: Path | str, overrides: Sequence[str] = ()) -> S:
    """Read settings from a YAML file and change single keys by `overrides` such as "data.seed=3".

    A file may name another one to start from, relative to itself: `base: base.yaml`; what it says itself
    then wins, group by group. Raises UserError naming file, key and remedy.
    """
    mapping = read_yaml(Path(path))
    for override in overrides:
        _apply_override(mapping, override)
    return check_settings(kind, mapping, str(path))


def check_settings(kind: type[S], mapping: Mapping[str, Any], where: str) -> S:
    """Validate a mapping against `kind`; raises UserError with one sentence about the first fault."""
    try:
        return kind.model_validate(mapping)
    except ValidationError as error:
        raise UserError(f"{where}: {_first_fault(kind, error)}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping, with its `base` (if any) merged underneath. Raises UserError."""
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {fault}; give the path of a YAML file.")
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not a text file"
        raise UserError(f"{path}{line} is not readable YAML: {problem}.") from None
    mapping = {} if mapping is None else mapping
    if not isinstance(mapping, dict):
        raise UserError(f"{path} must hold `key: value` lines, not a {type(mapping).__name__}.")
    base = mapping.pop("base", None)
    return mapping if base is None else _merge(read_yaml(path.parent / base), mapping)


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both_groups = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both_groups else value
    return merged


def _apply_override(mapping: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"'{override}' is not an override; write key=value, for example seed=1.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"the value in '{override}' is not readable; quote it for the shell.") from None
    group: Any = mapping
    *parents, last = key.split(".")
    for parent in parents:
        group = _descend(group, parent, override)
    if isinstance(group, list):
        group[_list_index(group, last, override)] = value
    else:
        group[last] = value


def _descend(group: Any, key: str, override: str) -> Any:
    if isinstance(group, list):
        return group[_list_index(group, key, override)]
    child = group.setdefault(key, {})
    if child is None:
        child = group[key] = {}
    if not isinstance(child, dict | list):
        raise UserError(f"'{override}': {key} is a single value, not a group of settings.")
    return child


def _list_index(group: list[Any], key: str, override: str) -> int:
    if not key.isdigit() or int(key) >= len(group):
        raise UserError(f"'{override}': {key} must be a position from 0 to {len(group) - 1}.")
    return int(key)


def _first_fault(kind: type[BaseModel], error: ValidationError) -> str:
    fault = error.errors()[0]
    location, group = _resolve(kind, fault["loc"])
    key = ".".join(str(part) for part in location)
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(location[-1], sorted(group.model_fields) if group else [])}"
    if fault["type"] == "missing":
        return f"{key} is missing; give it a value."
    if fault["type"].startswith("union_tag"):
        return _unknown_kind(key, fault)
    message = fault["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if fault["type"] == "value_error":
        return f"{key}: {message}" if key else message
    shown = fault["input"] if isinstance(fault["input"], str | int | float | bool | None) else "this value"
    return f"{key} = {shown}: {message[0].lower()}{message[1:]}."


def _unknown_kind(key: str, fault: Any) -> str:
    """One of several kinds of a group was asked for by a name that none of them has, or by none."""
    selector, tag = fault["ctx"]["discriminator"].strip("'"), fault["ctx"].get("tag")
    if tag is None:
        return f"{key}.{selector} is missing; give it a value."
    known = [name.strip(" '") for name in fault["ctx"]["expected_tags"].split(",")]
    return f"{key}.{selector} = {tag} is unknown{nearest(tag, sorted(known))}"


def _resolve(kind: Any, raw: Sequence[Any]) -> tuple[list[Any], Any]:
    """The keys a user wrote, from a location of pydantic's, and the Settings class that holds the last one.

    pydantic puts the names of alternatives it tried ("str", a class, the tag of a kind) into its locations.
    """
    location: list[Any] = []
    groups, holder = _groups_in(kind), None
    for part in raw:
        if isinstance(part, int):
            location.append(part)
            continue
        tagged = [group for group in groups if part in _tags(group)]
        if tagged:
            groups = tagged
            continue
        if part in {"str", "int", "float", "bool"} or not str(part).isidentifier():
            continue
        location.append(part)
        holder = next(
            (group for group in groups if part in group.model_fields), groups[0] if groups else None
        )
        field = holder.model_fields.get(part) if holder else None
        groups = _groups_in(field.annotation) if field else []
    return location, holder


def _tags(group: type[BaseModel]) -> tuple[Any, ...]:
    """The values that choose this kind of group, where it is one of several told apart by a key."""
    return tuple(
        value
        for field in group.model_fields.values()
        if get_origin(field.annotation) is Literal and field.is_required()
        for value in get_args(field.annotation)
    )


def _groups_in(annotation: Any) -> list[Any]:
    """The Settings classes inside list[...], dict[...], X | Y, or the annotation itself."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for inner in get_args(annotation) for group in _groups_in(inner)]
