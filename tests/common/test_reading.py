"""What is said of a path that is no plain file, and that nothing waits for it."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.common.reading import (
    NAMES,
    named_reading_errors,
    printable,
    require_file,
    require_folder,
    shown,
    why_no_file,
    why_no_folder,
)

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def test_a_plain_file_and_a_link_to_one_are_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    assert why_no_file(tmp_path / "a") == why_no_file(tmp_path / "b") == ""
    assert why_no_folder(tmp_path / "b") == "is a file, not a folder"
    assert require_file(tmp_path / "a", "give another") == tmp_path / "a"


def test_whatever_else_lies_there_is_said_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "broken").symlink_to("no\nwhere")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "file").write_text("x")
    assert why_no_file(tmp_path / "fifo") == "is a named pipe (FIFO), not a file"
    assert why_no_folder(tmp_path / "fifo") == "is a named pipe (FIFO), not a folder"
    assert why_no_file(tmp_path / "broken") == r"is a broken link (to no\nwhere)"
    assert why_no_file(tmp_path / "round") == "is a link that leads back to itself"
    assert why_no_file(tmp_path) == "is a folder, not a file"
    assert why_no_folder(tmp_path) == ""
    assert why_no_file("/dev/null") == "is a device, not a file"
    assert why_no_file(tmp_path / "none") == why_no_folder(tmp_path / "none") == "does not exist"
    assert why_no_file(tmp_path / "file/inside") == "does not exist (part of its path is a file)"
    assert "longer name" in why_no_file(tmp_path / ("x" * 300))
    assert "zero byte" in why_no_file("a\0b")


def test_a_socket_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may be no longer than 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        assert why_no_file("s") == "is a socket, not a file"


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_no_permission_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0)
    assert why_no_file(tmp_path / "a") == "may not be read (no permission)"
    assert why_no_folder(tmp_path / "a") == "is a file, not a folder"


def test_the_sentence_names_the_path_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\\rne does not exist; give a recipe\.$"):
        require_file(tmp_path / "no\rne", "give a recipe")
    with pytest.raises(UserError, match=r"does not exist; give a folder\.$"):
        require_folder(tmp_path / "none", "give a folder")
    with pytest.raises(UserError, match=r"none does not exist\.$"), named_reading_errors(tmp_path / "none"):
        (tmp_path / "none").read_text()


def test_names_are_printed_in_one_line_of_plain_characters() -> None:
    name = os.fsdecode(b"caf\xe9\r\n\x1b[2J \xc3\xa9.wav")
    assert shown(name) == r"caf\xe9\r\n\x1b[2J é.wav"
    assert printable("two\nlines") == "two\nlines"


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name))
def test_every_name_is_printable_and_survives_a_text_file(name: bytes) -> None:
    text = os.fsdecode(name)
    assert shown(text).isprintable()
    shown(text).encode("utf-8")
    assert text.encode(**NAMES).decode(**NAMES) == text
    assert os.fsencode(text.encode(**NAMES).decode(**NAMES)) == name
