"""Single keys of a mapping changed by texts such as "data.seed=3"."""

from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.reading import require_utf8
from sedistill.common.yaml_files import parse_yaml


def apply_override(mapping: dict[str, Any], override: str) -> None:
    """Change one key of a mapping by a text such as "optimiser.batch_size=4". Raises UserError."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise UserError(f"'{override}' is not an override; write key=value, for example seed=1.")
    if not text.strip():
        raise UserError(f"'{override}' gives no value; write {key}=VALUE, or {key}=null for none.")
    require_utf8(text, "a file of settings")
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
