"""YAML that somebody else may have written, or damaged: read whole and checked, or refused in one sentence.

It is plain data alone: no tags that build objects, no key twice in a mapping (the first would be lost
without a word), and nothing that grows beyond measure when it is opened.
"""

import re
import textwrap
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from sedistill.common.errors import UserError
from sedistill.common.reading import ending, printable, read_text, shown

LARGEST_YAML = 2**20  # bytes: more than any recipe or card by far, and still read in seconds
DEEPEST = 50  # groups within groups
MOST_VALUES = 200_000  # after what anchors repeat has been written out


def read_yaml(path: Path | str, remedy: str = "") -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises UserError, ending with `remedy`, for anything else.
    """
    value = parse_yaml(read_text(path, remedy, LARGEST_YAML), shown(path), remedy)
    value = {} if value is None else value
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "one value"
        raise UserError(f"{shown(path)} must hold `key: value` lines, and holds {kind}{ending(remedy)}")
    return value


def parse_yaml(text: str, where: str, remedy: str = "") -> Any:
    """The value that YAML text stands for. Raises UserError naming `where`, the line and the fault."""
    try:
        loader = _PlainData(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_endless(node)
            return _apart(loader.construct_document(node))
        finally:
            loader.dispose()
    except Exception as error:  # a value such as 2024-99-99 raises whatever its type's constructor does
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}," if mark else ""
        problem = getattr(error, "problem", None) or (str(error) or repr(error)).splitlines()[0].rstrip(".")
        if isinstance(error, RecursionError):
            problem = f"more than {DEEPEST} groups within groups"
        problem = printable(problem, keep="")
        raise UserError(f"{where}{line} is not readable YAML: {problem}{ending(remedy)}") from None


def yaml_text(value: Any) -> str:
    """Plain data as YAML, keys in their order: what `parse_yaml` reads back as it was."""
    return yaml.dump(value, Dumper=_PlainText, sort_keys=False, allow_unicode=True, width=100)


def commented_yaml(mapping: Mapping[str, Any], comments: Mapping[str, str], above: str = "") -> str:
    """The same with a comment above every key that has one; comments by the keys' paths, `group.0.key`."""
    lines: list[str] = []
    for key, value in mapping.items():
        path = f"{above}{key}"
        lines += _COMMENT.wrap(comments.get(path, ""))
        if value and isinstance(value, Mapping):
            lines += [_key_text(key), textwrap.indent(commented_yaml(value, comments, f"{path}."), "  ")]
        elif value and isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
            lines.append(_key_text(key))
            for number, one in enumerate(value):
                text = textwrap.indent(commented_yaml(one, comments, f"{path}.{number}."), "  ")
                lines.append(f"-{text[1:]}")
        else:
            lines.append(yaml_text({key: value}))
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"


_COMMENT = textwrap.TextWrapper(
    98, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False, break_long_words=False
)


def _key_text(key: str) -> str:
    return yaml_text({key: None}).removesuffix(" null\n")


# YAML 1.1 takes 1e-3 for text, where it wants 1.0e-3; here, as in YAML 1.2, it is a number everywhere.
_EXPONENT = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_FLOAT = "tag:yaml.org,2002:float"


class _PlainText(yaml.SafeDumper):
    """Quotes text that looks like a number to `_PlainData`."""


_PlainText.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))

_KINDS = {"timestamp": "date", "int": "whole number", "float": "number", "bool": "value true or false"}


class _PlainData(yaml.SafeLoader):
    """Safe YAML that refuses keys given twice and nesting without end."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _yaml_fault(f"more than {DEEPEST} groups within groups", self.peek_event().start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A date that is none, or a number without digits, is told with its line."""
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ValueError, KeyError, OverflowError, IndexError, AttributeError, TypeError):
            shown = str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else "this"
            kind = _KINDS.get(node.tag.rpartition(":")[2], "value of its kind")
            raise _yaml_fault(f"'{shown}' is not a {kind}; quote it if it is text", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _yaml_fault(f"the key '{key.value}' is there twice", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


_PlainData.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))


def _apart(value: Any) -> Any:
    """The same with every repeated part as a part of its own, so that changing one leaves the others."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the key {key} is not text; quote it")
        return {key: _apart(inner) for key, inner in value.items()}
    return [_apart(inner) for inner in value] if isinstance(value, list) else value


def _refuse_endless(root: yaml.Node) -> None:
    """Refuse a value that holds itself, or that anchors make larger than anybody writes."""
    sizes: dict[int, int] = {}  # 0 while a node is being counted

    def size_of(node: yaml.Node) -> int:
        if sizes.get(id(node)) == 0:
            raise _yaml_fault("a value that holds itself", node.start_mark)
        if id(node) not in sizes:
            sizes[id(node)] = 0
            inner = [] if isinstance(node, yaml.ScalarNode) else node.value
            parts = [part for one in inner for part in (one if isinstance(one, tuple) else (one,))]
            sizes[id(node)] = 1 + sum(size_of(part) for part in parts)
            if sizes[id(node)] > MOST_VALUES:
                raise _yaml_fault(f"more than {MOST_VALUES:,} values", node.start_mark)
        return sizes[id(node)]

    size_of(root)


def _yaml_fault(problem: str, mark: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
