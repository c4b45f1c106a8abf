"""What pydantic finds wrong with settings, as one sentence with the key and what to do."""

from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sedistill.common.errors import nearest
from sedistill.common.reading import printable


def first_fault(kind: Any, error: ValidationError, given: Any) -> str:
    """One sentence about the first fault that pydantic found in `given`."""
    fault: Any = error.errors(include_url=False)[0]
    if fault["type"] == "bool":
        fault["loc"] += (fault["ctx"]["key"],)
        fault["input"] = fault["ctx"]["value"]
    location = _keys_in(fault, given)
    key = ".".join(map(value_text, location))
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key}{_nearest_key(kind, location)}"
    if fault["type"] == "missing":
        return f"{key} is missing; give it a value."
    if fault["type"].startswith("union_tag"):
        return _unknown_kind(key, fault)
    message = plain_fault(fault)
    if fault["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {value_text(fault['input'])}: {message}."


def plain_fault(fault: Any) -> str:
    """What pydantic says of one value, in plain words."""
    if fault["type"] in _PLAINER:
        return _PLAINER[fault["type"]]
    message = fault["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return message if fault["type"] == "value_error" else message[0].lower() + message[1:]


_PLAINER = {
    "string_type": "it must be text; quote what YAML takes for something else",
    "path_type": "it must be a path",
    "list_type": "it must be a list, [...]",
    "tuple_type": "it must be a list, [...]",
    "dict_type": "it must be a group of settings, `key: value`",
    "model_type": "it must be a group of settings, `key: value`",
    "model_attributes_type": "it must be a group of settings, `key: value`",
    "invalid_key": "a key must be text; quote it",
    "int_from_float": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_parsing_size": "it is too large",
    "int_type": "it must be a whole number",
    "float_parsing": "it must be a number",
    "float_type": "it must be a number",
    "finite_number": "it must be a number, and not an infinite one",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
}


def value_text(value: Any) -> str:
    """A value as a sentence shows it: short, and on one line."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return "a number of more than 300 digits"
    is_plain = isinstance(value, str | Real | None)  # numpy's numbers too
    text = str(value) if is_plain else f"this {_kind_of(value)}"
    text = printable(text, keep="")
    return text if len(text) <= 60 else f"{text[:60]}..."


def _kind_of(value: Any) -> str:
    names: dict[type, str] = {dict: "group", list: "list", tuple: "list"}
    return names.get(type(value), type(value).__name__)


def _unknown_kind(key: str, fault: Any) -> str:
    """One of several kinds of a group was asked for by a name that none of them has, or by none."""
    selector, tag = fault["ctx"]["discriminator"].strip("'"), fault["ctx"].get("tag")
    if tag is None:
        return f"{key}.{selector} is missing; give it a value."
    known = [name.strip(" '") for name in fault["ctx"]["expected_tags"].split(",")]
    return f"{key}.{selector} = {value_text(tag)} is unknown{nearest(tag, sorted(known))}"


def _keys_in(fault: Any, given: Any) -> list[Any]:
    """The keys a user wrote, from a location of pydantic's.

    pydantic puts the names of alternatives it tried ("str", a class, the tag of a kind) into its locations;
    what is no key of what was given is one of them.
    """
    keys: list[Any] = []
    *path, last = fault["loc"] or (None,)
    for part in (*path, last):
        inside = given.get(part) if isinstance(given, Mapping) else None
        if isinstance(given, Mapping) and part in given:
            keys.append(part)
            given = inside
        elif isinstance(given, list | tuple) and isinstance(part, int) and part < len(given):
            keys.append(part)
            given = given[part]
    if fault["type"] == "missing" or (not keys and last is not None):
        keys.append(last)
    return keys


def _nearest_key(kind: Any, location: Sequence[Any]) -> str:
    """What an unknown key may have been meant for: one beside it, or one of another group."""
    groups: list[Any] = [kind]
    for key in location[:-1]:
        if isinstance(key, int):
            continue
        fields = (group.model_fields.get(key) for group in groups)
        groups = [inner for field in fields if field for inner in _groups_in(field.annotation)]
    known = sorted({name for group in groups for name in group.model_fields})
    wanted = str(location[-1]).replace("-", "_")
    everywhere = list(key_paths(kind))
    elsewhere = [path for path in everywhere if path.rpartition(".")[2] == wanted.lower()]
    if wanted not in known and elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    return nearest(wanted, known)


def key_paths(kind: Any, above: str = "", depth: int = 0) -> Iterator[str]:
    """Every key of a group and of the groups in it, with dots."""
    for name, field in kind.model_fields.items():
        yield f"{above}{name}"
        if depth < 3 and get_origin(field.annotation) not in (list, dict):
            for group in _groups_in(field.annotation):
                yield from key_paths(group, f"{above}{name}.", depth + 1)


def _groups_in(annotation: Any) -> list[Any]:
    """The Settings classes inside list[...], dict[...], X | Y, or the annotation itself."""
    if is_class(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for inner in get_args(annotation) for group in _groups_in(inner)]


def is_class(annotation: Any) -> bool:
    """Whether it is a class, and not list[int], which Python 3.10 takes for one."""
    return isinstance(annotation, type) and get_origin(annotation) is None
