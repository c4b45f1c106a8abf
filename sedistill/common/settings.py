"""Settings: typed, readable from YAML, overridable by `key=value`, and refused in one clear sentence."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sedistill.common.errors import UserError, nearest
from sedistill.common.paths import written_out
from sedistill.common.reading import printable, require_file
from sedistill.common.yaml_files import parse_yaml, read_yaml


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


class Settings(_Group):
    """A group of settings. Unknown keys are errors, numbers are finite, values stay as they were read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # the text below a field is its description
    )


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


def check_settings(kind: type[S], mapping: Mapping[str, Any], where: str) -> S:
    """Validate a mapping against `kind`; raises UserError with one sentence about the first fault."""
    try:
        return kind.model_validate(mapping)
    except ValidationError as error:
        raise UserError(f"{where}: {first_fault(kind, error, mapping)}") from None
    except UnicodeEncodeError:  # text with lone surrogates, such as "\\udce9"
        raise UserError(f"{where}: a value holds characters that no text has; take them out.") from None


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
    try:
        checked = kind.model_validate(mapping).model_dump(by_alias=True, exclude_unset=True)
    except ValidationError as error:
        fault = first_fault(kind, error, mapping).rstrip(".").removesuffix("; give it a value")
        raise UserError(f"{path}: {fault}; {remedy}.") from None
    except UnicodeEncodeError:
        raise UserError(f"{path}: a value holds characters that no text has; {remedy}.") from None
    return {key: checked[key] for key in mapping}


def read_with_base(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read one YAML mapping, with its `base` (if any) merged underneath. Raises UserError."""
    require_file(path, "give the path of a YAML file")
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


def apply_override(mapping: dict[str, Any], override: str) -> None:
    """Change one key of a mapping by a text such as "optimiser.batch_size=4". Raises UserError."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise UserError(f"'{override}' is not an override; write key=value, for example seed=1.")
    if not text.strip():
        raise UserError(f"'{override}' gives no value; write {key}=VALUE, or {key}=null for none.")
    value = parse_yaml(text, f"the value in '{override}'", "quote it for the shell")
    group: Any = mapping
    *parents, last = parts
    for place, parent in enumerate(parents):
        group = _descend(group, parent, parts[place + 1], override)
    if isinstance(group, list):
        group[_list_index(group, last, override)] = value
    else:
        group[last] = value


def _descend(group: Any, key: str, inner: str, override: str) -> Any:
    if isinstance(group, list):
        child = group[_list_index(group, key, override)]
    else:
        child = group.get(key)
        if child is None and _is_position(inner):
            raise UserError(f"'{override}': {key} has no entry {inner}; give the whole list, {key}='[...]'.")
        if child is None:
            child = group[key] = {}
    if not isinstance(child, dict | list):
        raise UserError(f"'{override}': {key} is a single value, not a group of settings; change it whole.")
    return child


def _list_index(group: list[Any], key: str, override: str) -> int:
    if _is_position(key) and int(key) < len(group):
        return int(key)
    known = (
        f"must be a position from 0 to {len(group) - 1}" if group else "is of an empty list; give it whole"
    )
    raise UserError(f"'{override}': {key} {known}.")


def _is_position(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 10


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
    text = str(value) if isinstance(value, str | int | float | bool | None) else f"this {_kind_of(value)}"
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
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for inner in get_args(annotation) for group in _groups_in(inner)]


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
