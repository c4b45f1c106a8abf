"""Where nothing can be written is said at the start, in one sentence, and nothing is changed."""

import errno
import os
import socket
from pathlib import Path

import pytest

from sedistill.cli import app
from sedistill.common.errors import UserError
from sedistill.common.writing import named_disk_errors, refuse_existing, refuse_foreign_folder, refuse_inside
from sedistill.common.writing.disk_errors import _REASONS
from tests.workflows.reproducing.conftest import write_paper

COMMANDS = {
    "prepare": ["prepare", "--clean", "in", "--noise", "in", "-o"],
    "mix": ["mix", "in", "-o"],
    "evaluate": ["evaluate", "in", "--on", "in", "-o"],
    "compare": ["compare", "in", "-o"],
    "analyze": ["analyze", "in", "-o"],
    "enhance": ["enhance", "in", "--model", "in", "-o"],
    "train": ["train", "recipe.yaml", "-o"],
    "crossover": ["crossover", "clip.wav", "-o"],
    "reproduce": ["reproduce", "tiny/table1", "--data", "in", "--scale", "small", "-o"],
    "demo": ["demo", "-o"],
}
PLACES = {
    "/dev/stdout": "do not go to a stream",
    "/dev/null": "do not go to a stream",
    "-": "do not go to a stream",
    "fifo": "device, pipe or socket",
    "socket": "device, pipe or socket",
    "dangling": "is a link to nowhere",
    "link": "is a link to folder",
    "loop": "is a link to loop",
    "file/out": "is a file, not a folder",
    "x" * 256: "longer than the file system takes",
}


def contents(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_ino) for path in folder.rglob("*"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("in", "folder"):
        Path(name).mkdir()
    write_paper(tmp_path)
    Path("folder/mine").touch()
    Path("file").touch()
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    Path("dangling").symlink_to("nowhere")
    Path("link").symlink_to("folder")
    Path("loop").symlink_to("loop")
    Path("recipe.yaml").write_text("name: run\nstudent: gtcrn\ndata: {train: in, valid: in}\n")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", PLACES)
def test_an_impossible_output_is_one_sentence_and_changes_nothing(
    world: Path, command: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(world)
    with pytest.raises(SystemExit) as end:
        app([*COMMANDS[command], place])
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.count("\n") == 1, said
    assert PLACES[place] in said
    assert contents(world) == before


@pytest.mark.parametrize(
    ("place", "words"),
    [("figure", "ends in .svg"), ("folder.svg", "is a folder, and a file"), ("file.svg", "exists already")],
)
def test_a_figure_is_a_new_file(
    world: Path, place: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder.svg").mkdir()
    Path("file.svg").write_text("mine")
    with pytest.raises(SystemExit) as end:
        app([*COMMANDS["crossover"], place])
    assert end.value.code == 2
    assert words in capsys.readouterr().err
    assert Path("file.svg").read_text() == "mine"


@pytest.mark.parametrize("place", [".", "folder/.."])
def test_the_current_folder_is_not_replaced(world: Path, place: str) -> None:
    with pytest.raises(UserError, match="current folder"):
        refuse_existing(world / place)


def test_a_read_only_place_is_said(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(UserError, match=r"cannot write a/b: there is no permission to write in .*; choose"):
        refuse_existing(Path("a/b"))


def test_a_mount_point_is_not_replaced(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "disk")
    with pytest.raises(UserError, match=r"mount point.*such as disk/result"):
        refuse_existing(Path("disk"))


def test_an_output_in_an_input_or_around_it_is_refused(world: Path) -> None:
    Path("in/deep").mkdir()
    Path("alias").symlink_to("in")
    for output in ("in", "in/deep/new", "alias/new", "in/deep/.."):
        with pytest.raises(UserError, match="lie one in the other"):
            refuse_inside(Path(output), [Path("in/deep/.."), Path("folder")])
    with pytest.raises(UserError, match="lie one in the other"):
        refuse_inside(Path("in"), [Path("in/deep")])
    refuse_inside(Path("in"), [Path("in/deep")], replaced=False)
    refuse_inside(Path("inner"), [Path("in")])


def test_a_folder_of_other_things_is_not_written_into(world: Path) -> None:
    with pytest.raises(UserError, match=r"holds something else \(it has no config\.yaml\)"):
        refuse_foreign_folder(Path("folder"), "config.yaml")
    Path("in/.lock").touch()
    refuse_foreign_folder(Path("in"), "config.yaml")
    Path("folder/config.yaml").touch()
    refuse_foreign_folder(Path("folder"), "config.yaml")


@pytest.mark.parametrize("name", sorted(name for name in _REASONS if hasattr(errno, name)))
def test_every_refusal_of_the_system_is_put_in_words(name: str) -> None:
    code = getattr(errno, name)
    with pytest.raises(UserError, match=r"^cannot write a: .*\.$") as caught, named_disk_errors(Path("a")):
        raise OSError(code, os.strerror(code))
    assert os.strerror(code) not in str(caught.value)


def test_an_error_of_what_is_read_is_not_one_of_writing(world: Path) -> None:
    for path in (Path("runs/x"), Path("/elsewhere/x")):
        with pytest.raises(FileNotFoundError, match="recording"), named_disk_errors(path):
            Path("recording.wav").read_bytes()
    with pytest.raises(BrokenPipeError), named_disk_errors(Path("runs")):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    with pytest.raises(OSError, match="no number"), named_disk_errors(Path("runs")):
        raise OSError("no number")
    with pytest.raises(UserError, match=r"cannot write a/b/c"), named_disk_errors(Path("a/b/c")):
        Path("a/b/c").write_text("")
    with pytest.raises(UserError, match=r"cannot write a"), named_disk_errors(Path("a")):
        Path("a/b").write_text("")


def test_an_output_that_turns_out_impossible_is_said_too(world: Path) -> None:
    from sedistill.common.writing import atomic_folder

    with pytest.raises(UserError, match="cannot write /proc/sedistill"), atomic_folder("/proc/sedistill"):
        pass
