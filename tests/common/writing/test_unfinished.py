"""What appears at an output meanwhile stays; what a killed command left is put back or removed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.common.writing import atomic, atomic_folder, atomic_path, renaming, unfinished
from sedistill.common.writing.unfinished import LOCK, NEW, OLD, place_of

# ruff: noqa: PT012 - what is raised at the end of the block comes from what happens in it

KILLED = """
import os, signal, sys
from pathlib import Path
from sedistill.common.writing import atomic, atomic_folder, renaming
path, moment = Path(sys.argv[1]), sys.argv[2]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
atomic.exchange = lambda *_: False
if moment == "between":
    atomic.rename_without_replacing = die
with atomic_folder(path, overwrite=True) as folder:
    (folder / "new").touch()
    if moment == "writing":
        print("writing", flush=True)
        sys.stdin.read()
if moment == "after":
    pass
"""


@pytest.fixture(autouse=True)
def looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new process does."""
    monkeypatch.setattr(unfinished, "_looked_at", set())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(path: Path, moment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", KILLED, str(path), moment]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def kill_while_writing(path: Path) -> None:
    process = start(path, "writing")
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.kill()
    process.communicate()


def folder_with(path: Path, *files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name in files:
        (path / name).touch()
    return path


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_appears_meanwhile_stays(tmp_path: Path, kind: str, overwrite: bool) -> None:
    path = tmp_path / "out"
    with (
        pytest.raises(UserError, match=r"out appeared .* stays as it is; .* kept in .*out\.kept-1\.$"),
        atomic_folder(path, overwrite, marker="facts") as folder,
    ):
        (folder / "result").touch()
        if kind == "folder":
            folder_with(path, "thesis")
        else:
            path.write_text("thesis")
    assert names(tmp_path) == ["out", "out.kept-1"]
    assert names(tmp_path / "out.kept-1") == ["result"]
    assert names(path) == ["thesis"] if kind == "folder" else path.read_text() == "thesis"


def test_a_file_that_appears_meanwhile_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(UserError, match=r"kept in .*a\.wav\.kept-2"), atomic_path(path, False) as new:
        new.write_text("ours")
        path.write_text("theirs")
        (tmp_path / "a.wav.kept-1").touch()
    assert (path.read_text(), (tmp_path / "a.wav.kept-2").read_text()) == ("theirs", "ours")
    with atomic_path(path) as new:
        new.write_text("ours")
    assert path.read_text() == "ours"
    with pytest.raises(UserError, match="exists already"), atomic_path(path, overwrite=False):
        pass


def test_no_hard_links_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with atomic_path(tmp_path / "a", overwrite=False) as new:
        new.write_text("ours")
    assert (tmp_path / "a").read_text() == "ours"
    with pytest.raises(UserError, match="kept in"), atomic_path(tmp_path / "b", overwrite=False) as new:
        new.write_text("ours")
        (tmp_path / "b").write_text("theirs")
    assert (tmp_path / "b").read_text() == "theirs"


def test_a_second_command_at_one_output_is_refused_at_its_start(tmp_path: Path) -> None:
    path = tmp_path / "out"
    process = start(path, "writing")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with (
            pytest.raises(UserError, match=r"another command is at work on .*out; wait"),
            atomic_folder(path),
        ):
            pytest.fail("it began")
        with atomic_folder(tmp_path / "other"):
            pass
        assert place_of(path).is_dir(), "what a live process owns is left alone"
    finally:
        process.communicate(b"")  # it may end
    assert names(path) == ["new"]
    assert names(tmp_path) == ["other", "out"]


@pytest.mark.parametrize("next_output", ["out", "another"])
def test_what_a_killed_command_left_is_removed_at_the_next_start(tmp_path: Path, next_output: str) -> None:
    kill_while_writing(tmp_path / "out")
    assert names(tmp_path) == [place_of(tmp_path / "out").name]
    with atomic_folder(tmp_path / next_output):
        pass
    assert names(tmp_path) == [next_output]


def test_what_was_moved_aside_is_put_back_at_the_next_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder_with(tmp_path / "out", "years of work")
    assert start(path, "between").wait() == -signal.SIGKILL
    assert not path.exists()
    with atomic_path(tmp_path / "other"):
        (place_of(tmp_path / "other") / NEW / "other").touch()
    assert names(path) == ["years of work"]
    assert names(tmp_path) == ["other", "out"]
    assert "out is there again" in capsys.readouterr().err


def test_what_took_the_place_meanwhile_stays_beside_what_is_put_back(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "out", "old")
    start(path, "between").wait()
    folder_with(path, "younger")
    with atomic_folder(tmp_path / "other"):
        pass
    assert (names(path), names(tmp_path / "out.kept-1")) == (["younger"], ["old"])


def test_folders_swap_places_so_that_there_is_always_one(tmp_path: Path) -> None:
    one, other = folder_with(tmp_path / "one", "1"), folder_with(tmp_path / "other", "2")
    if not renaming.exchange(one, other):
        pytest.skip("this system cannot")
    assert (names(one), names(other)) == (["2"], ["1"])


@pytest.mark.parametrize("swaps", [True, False])
def test_a_refused_rename_loses_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool) -> None:
    path = folder_with(tmp_path / "out", "old")

    def refuse(*_: object) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic, "exchange", refuse if swaps else lambda *_: False)
    monkeypatch.setattr(atomic, "rename_without_replacing", refuse)
    with pytest.raises(UserError, match="the disk or its connection failed"), atomic_folder(path, True):
        pass
    assert (names(path), names(tmp_path)) == (["old"], ["out"])


def test_what_is_not_provably_ours_is_left_alone(tmp_path: Path) -> None:
    folder_with(tmp_path / ".sedistill-notes", "mine")
    folder_with(tmp_path / ".out.1a2b3c4d", "mine")
    (tmp_path / ".sedistill-file").touch()
    before = names(tmp_path)
    with atomic_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == sorted([*before, "out"])
    assert names(tmp_path / ".sedistill-notes") == ["mine"]


def test_folders_made_on_the_way_vanish_with_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "a" / "b" / "out"):
        raise RuntimeError
    assert names(tmp_path) == []
    with atomic_folder(tmp_path / "a" / "b" / "out"):
        pass
    assert names(tmp_path / "a" / "b") == ["out"]


@given(name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_a_temporary_name_is_no_longer_than_the_name_itself_or_short(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path("/folder") / name
    place = place_of(path)
    assert len(os.fsencode(place.name)) <= 32
    assert place == place_of(path)


@pytest.mark.parametrize("length", [2, 251, 255])
def test_names_of_any_length_can_be_written(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * length)
    with atomic_path(path) as new:
        new.write_text("1")
    with (
        pytest.raises(UserError, match="kept in"),
        atomic_path(tmp_path / ("é" * (length // 2)), False) as new,
    ):
        new.touch()
        (tmp_path / ("é" * (length // 2))).touch()
    assert path.read_text() == "1"


def test_files_in_an_unfinished_folder_are_written_straight(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as folder:
        with atomic_path(folder / "sub" / "a") as new:
            assert new == folder / "sub" / "a"
            new.touch()
        with pytest.raises(RuntimeError), atomic_path(folder / "b") as new:
            new.touch()
            raise RuntimeError
    assert names(tmp_path / "out" / "sub") == ["a"]
    assert names(tmp_path / "out") == ["sub"]


@pytest.mark.parametrize("write", [atomic_path, atomic_folder])
def test_what_is_renamed_is_on_the_disk_before_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable
) -> None:
    done: list[str] = []
    monkeypatch.setattr(atomic, "flush", lambda path: done.append(f"content {path.name}"))
    monkeypatch.setattr(atomic, "flush_names", lambda path: done.append(f"names {path.name}"))
    for name in ("replace", "rename", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real: (done.append("rename"), real(*a)))  # type: ignore[misc]
    with write(tmp_path / "out") as new:
        if write is atomic_path:
            new.touch()
    assert done == ["content out", "rename", f"names {tmp_path.name}"]


def test_many_files_are_flushed_in_one_go(tmp_path: Path) -> None:
    from sedistill.common.writing import flushing

    for number in range(flushing.FEW_FILES + 5):
        (tmp_path / str(number)).write_bytes(b"x" * 100)
    flushing.flush(tmp_path)
    flushing.flush(tmp_path / "0")


def test_a_lock_that_was_removed_by_its_holder_is_taken_anew(tmp_path: Path) -> None:
    """Two processes must not hold the old file and the new one."""
    first = unfinished.take(tmp_path / LOCK)
    assert first is not None
    (tmp_path / LOCK).unlink()
    second = unfinished.take(tmp_path / LOCK)
    assert second is not None
    assert unfinished.take(tmp_path / LOCK) is None
    first.let_go()
    second.let_go()


def test_only_what_was_never_replaced_goes_back(tmp_path: Path) -> None:
    place = place_of(tmp_path / "out")
    folder_with(place / OLD / "out", "old")
    folder_with(place / NEW)
    (place / LOCK).touch()
    folder_with(tmp_path / "out", "new")
    with atomic_folder(tmp_path / "other"):
        pass
    assert (names(tmp_path), names(tmp_path / "out")) == (["other", "out"], ["new"])
