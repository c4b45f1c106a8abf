"""Paths as people write them, and names that stay in their folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sedistill.common.paths import Name, PathInside, PlainName, UserPath, as_is, written_out


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOBODY", raising=False)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("~/x", "/home/me/x"),
        ("~", "/home/me"),
        ("a/~/x", "a/~/x"),
        ("$DATA/x", "/data/x"),
        ("${DATA}x", "/datax"),
        ("a/$DATA", "a//data"),
        ("$$DATA/x", "$DATA/x"),
        ("100$/x", "100$/x"),
        ("plain/x", "plain/x"),
    ],
)
def test_home_and_variables_are_written_out(text: str, meant: str) -> None:
    assert TypeAdapter(UserPath).validate_python(text) == Path(meant)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$NOBODY/x", "variable NOBODY is not set; set it"),
        ("${NOBODY}/x", "variable NOBODY is not set"),
        ("${}/x", "variable  is not set"),
        ("$EMPTY/x", "variable EMPTY is not set"),
        ("", "the path is empty"),
        ("a\0b", "NUL byte"),
        ("a/" + "é" * 200, "longer than 255 bytes"),
    ],
)
def test_what_cannot_be_a_path_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(UserPath).validate_python(text)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_path_taken_as_it_is_means_itself(text: str) -> None:
    if text.strip():
        assert Path(written_out(as_is(text))) == Path(text)


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "../x", "a/../x", "/x", "a//b", "a/", "a\nb", "a\0b", "a\\b", "x" * 256, "./a"],
)
def test_names_that_leave_their_folder_are_refused(name: str) -> None:
    for kind in (Name, PlainName):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(name)


def test_names_may_be_of_any_script() -> None:
    for name in ("a", "größe", "音声", "a b", "-x", "=x", "a.b", "..a"):
        assert TypeAdapter(PlainName).validate_python(name) == name
    assert TypeAdapter(Name).validate_python("a/b") == "a/b"
    with pytest.raises(ValidationError, match="must not hold /"):
        TypeAdapter(PlainName).validate_python("a/b")


def test_paths_inside_a_folder() -> None:
    for path in ("a.wav", "a/b.wav", "a\nb.wav", "=x", "a/..b"):
        assert TypeAdapter(PathInside).validate_python(path) == path
    for path in ("../a.wav", "a/../../b.wav", "/etc/passwd", "..", ""):
        with pytest.raises(ValidationError, match=r"leaves its folder|is empty"):
            TypeAdapter(PathInside).validate_python(path)
