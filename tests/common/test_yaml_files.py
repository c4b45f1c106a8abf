"""YAML from the disk: read whole and checked, or refused in one sentence that names file and line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.common.overrides import apply_override
from sedistill.common.yaml_files import MOST_VALUES, parse_yaml, read_yaml, yaml_text
from sedistill.data.mixing import mixing_settings

LAUGHS = "\n".join(
    ["a0: &a0 [1, 2]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 2024-99-99", "line 1, is not readable YAML: '2024-99-99' is not a date; quote it"),
        ("x: 1\na: !!bool foo", "line 2, .*'foo' is not a value true or false"),
        ("a: !!int x", "'x' is not a whole number"),
        ("a: " + "9" * 5000, "is not a whole number"),
        ("a: !!float x", "'x' is not a number"),
        ("a: !!binary é", "is not readable YAML"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("[" * 20_000, "more than 50 groups within groups"),
        ("{" * 20_000, "more than 50 groups within groups"),
        ("- " * 20_000, "more than 50 groups within groups"),
        (LAUGHS, f"more than {MOST_VALUES:,} values"),
        ("a: &a [*a]", "a value that holds itself"),
        ("a: &a {b: *a}", "a value that holds itself"),
        ("a: 1\nb: 2\na: 3", "line 3, is not readable YAML: the key 'a' is there twice"),
        ("g: {b: 1, b: 2}", "the key 'b' is there twice"),
        ("a:\n\tb: 1", "line 2"),
        ("? [1]\n: 2", "unhashable key"),
        ("--- 1\n--- 2", "another document"),
        ("a: *nobody", "undefined alias 'nobody'"),
        ("'", "unexpected end"),
        ("a: \x01", "special characters are not allowed"),
    ],
)
def test_yaml_that_is_none_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse_yaml(text, "f.yaml", "mend it")
    assert str(caught.value).startswith("f.yaml")
    assert str(caught.value).endswith("; mend it.")
    assert "\n" not in str(caught.value)


def test_a_long_chain_of_anchors_is_refused() -> None:
    chain = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2500))
    with pytest.raises(UserError, match="more than"):
        parse_yaml(chain, "f.yaml")


def test_what_an_anchor_repeats_can_be_changed_apart() -> None:
    read = parse_yaml("a: &x {k: [1]}\nb: *x\nc: {<<: *x, k: 2}", "f.yaml")
    assert read == {"a": {"k": [1]}, "b": {"k": [1]}, "c": {"k": 2}}
    read["a"]["k"].append(2)
    assert read["b"] == {"k": [1]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1".encode("utf-16"), "is not a text file in UTF-8; mend it"),
        (b"a: caf\xe9", "is not a text file in UTF-8; mend it"),
        (b"a: 1\0", "NUL bytes"),
        (b"- 1", "must hold `key: value` lines, and holds a list"),
        (b"just words", "must hold `key: value` lines, and holds one value"),
        (b"a: 1\n" * 300_000, "more than the 1,048,576 of such a file"),
    ],
)
def test_a_file_that_holds_something_else(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_yaml(path, "mend it")
    assert str(path) in str(caught.value)


def test_an_empty_file_is_an_empty_mapping_and_a_byte_order_mark_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"")
    assert read_yaml(path) == {}
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(path) == {"a": 1}


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1e3", "+1e3", "-1.5e-3", ".5e2", "1.e2", "1e+3"])
def test_an_exponent_makes_a_number_everywhere(text: str, tmp_path: Path) -> None:
    value = float(text)
    assert parse_yaml(f"a: {text}", "f.yaml") == {"a": value}
    mapping: dict[str, object] = {}
    apply_override(mapping, f"student.eps={text}")
    assert mapping == {"student": {"eps": value}}
    with pytest.raises(UserError, match="snr_db_low"):
        mixing_settings([f"snr_db_low={'1e3' if value > 0 else '-1e3'}"])
    assert mixing_settings(["level_spread_db=1e1"]).level_spread_db == 10


@given(st.text() | st.from_regex(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", fullmatch=True))
def test_text_stays_text(text: str) -> None:
    if text.isprintable():
        assert parse_yaml(yaml_text({"a": text, "b": [text, 1e-6]}), "f.yaml") == {
            "a": text,
            "b": [text, 1e-6],
        }
