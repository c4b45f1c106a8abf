"""Every file below a folder is read or told, and links lead no walk in circles."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.audio.listing import audio_below, none_found, told, told_by_suffix
from sedistill.common.errors import UserError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def reasons(folder: Path) -> dict[str, str]:
    return {str(one.path.relative_to(folder)): one.detail for one in audio_below(folder).unread}


def names(folder: Path) -> list[str]:
    return [str(file) for file in audio_below(folder).files]


def test_linked_files_and_folders_are_read(tmp_path: Path) -> None:
    touch(tmp_path / "far/s1/a.wav")
    touch(tmp_path / "in/s0/b.FLAC")
    (tmp_path / "in/s1").symlink_to(tmp_path / "far/s1")
    (tmp_path / "in/c.ogg").symlink_to("../far/s1/a.wav")
    assert names(tmp_path / "in") == ["c.ogg", "s0/b.FLAC", "s1/a.wav"]
    assert not reasons(tmp_path / "in")
    (tmp_path / "linked").symlink_to("in")
    assert names(tmp_path / "linked") == names(tmp_path / "in")


def loop_to_itself(folder: Path) -> None:
    (folder / "self").symlink_to(".")


def loop_to_parent(folder: Path) -> None:
    (folder / "s0/up").symlink_to("..")


def loop_of_two(folder: Path) -> None:
    (folder / "s0/other").symlink_to("../s1")
    (folder / "s1/other").symlink_to("../s0")


@pytest.mark.parametrize("make", [loop_to_itself, loop_to_parent, loop_of_two])
def test_a_loop_of_folders_ends_and_is_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    for speaker in ("s0", "s1"):
        touch(tmp_path / speaker / "a.wav")
    make(tmp_path)
    assert {"s0/a.wav", "s1/a.wav"} <= set(names(tmp_path))
    assert set(reasons(tmp_path).values()) == {"a link that leads back to a folder it lies in"}


def test_everything_else_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "good.wav")
    for name in ("song.m4a", "film.WEBM", "call.amr", "raw.pcm", "notes.txt", "more.txt", "README"):
        touch(tmp_path / name)
    for name in (".DS_Store", "._good.wav", ".cache/x.wav"):
        touch(tmp_path / name)
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    (tmp_path / "round.wav").symlink_to("round.wav")
    (tmp_path / "null.wav").symlink_to("/dev/null")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.wav")
        found = reasons(tmp_path)
    assert names(tmp_path) == ["good.wav"]
    assert found == {
        "song.m4a": ".m4a is not read; convert it, as by ffmpeg -i FILE FILE.flac",
        "film.WEBM": ".webm is not read; convert it, as by ffmpeg -i FILE FILE.flac",
        "call.amr": ".amr is not read; convert it, as by ffmpeg -i FILE FILE.flac",
        "raw.pcm": ".pcm has no header; convert it, as by ffmpeg -f s16le -ar RATE -i FILE FILE.flac",
        "notes.txt": "has the suffix .txt, which is none of an audio format",
        "more.txt": "has the suffix .txt, which is none of an audio format",
        "README": "has no suffix, which is none of an audio format",
        ".DS_Store": "hidden: its name begins with a dot",
        "._good.wav": "hidden: what macOS keeps beside a file of that name",
        ".cache": "hidden: its name begins with a dot",
        "pipe.wav": "is a named pipe (FIFO), not a file",
        "s.wav": "is a socket, not a file",
        "broken.wav": "is a broken link (to nowhere.wav)",
        "round.wav": "is a link that leads back to itself",
        "null.wav": "is a device, not a file",
    }


def test_what_is_told_names_all_but_what_is_no_audio(tmp_path: Path) -> None:
    for name in ("a.wav", "b.txt", "c.txt", "d.csv", "e\r.m4a"):
        touch(tmp_path / name)
    unread = audio_below(tmp_path).unread
    assert told_by_suffix(unread) == "3 files are no audio: .txt 2, .csv 1"
    lines = list(told(unread))
    assert lines == [
        rf"Left out: {tmp_path}/e\r.m4a: .m4a is not read; convert it, as by ffmpeg -i FILE FILE.flac.",
        "3 files are no audio: .txt 2, .csv 1.",
    ]
    (tmp_path / "a.wav").unlink()
    assert str(none_found(audio_below(tmp_path))) == (
        rf"{tmp_path} holds no audio files (.wav, .flac, ...); e\r.m4a: .m4a is not read; convert it, as by "
        "ffmpeg -i FILE FILE.flac; 3 files are no audio: .txt 2, .csv 1."
    )


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    for path, fault in ((tmp_path / "a.wav", "is a file, not a folder"), (tmp_path / "b", "does not exist")):
        with pytest.raises(UserError, match=f"{fault}; give a folder of audio files"):
            audio_below(path)


ENTRIES = st.dictionaries(
    st.text("abc.", min_size=1, max_size=4).filter(lambda name: name.strip(".")),
    st.sampled_from([".wav", ".m4a", ".txt", "", "/x.wav", "/x.txt"]),
    max_size=6,
)


@given(ENTRIES, st.binary(min_size=1, max_size=3).filter(lambda name: not set(name) & {0, 0x2F, 0x2E}))
def test_every_file_is_read_or_told(tmp_path_factory, entries: dict[str, str], odd: bytes) -> None:
    folder = tmp_path_factory.mktemp("walk")
    for name, end in entries.items():
        touch(folder / f"{name}{end}" if not end.startswith("/") else folder / f"d{name}{end}")
    touch(folder / os.fsdecode(odd + b".wav"))
    found = audio_below(folder)
    read = {folder / file for file in found.files}
    told_of = {one.path for one in found.unread}
    there = {path for path in folder.rglob("*") if path.is_file()}
    assert not read & told_of
    hidden = {path for path in told_of if path.is_dir()}
    assert {path for path in there if not hidden & set(path.parents)} == read | (told_of - hidden)
