"""Files and folders appear whole or not at all, and nothing of the user's is replaced by mistake."""

import errno
import os
from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.common.writing import atomic_folder, atomic_path, refuse_existing


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("one", "two"):
        with atomic_folder(path, overwrite=True) as temporary:
            (temporary / content).touch()
    assert [p.name for p in path.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [path]


def test_recordings_are_never_taken_for_an_output(tmp_path: Path) -> None:
    (tmp_path / "mine.wav").touch()
    with pytest.raises(UserError, match="exists already"):
        refuse_existing(tmp_path)
    with pytest.raises(UserError, match=r"no corpus\.yaml"):
        refuse_existing(tmp_path, overwrite=True, marker="corpus.yaml")
    (tmp_path / "corpus.yaml").touch()
    refuse_existing(tmp_path, overwrite=True, marker="corpus.yaml")


def test_an_empty_folder_may_be_written_into(tmp_path: Path) -> None:
    refuse_existing(tmp_path)
    with atomic_folder(tmp_path / "new") as temporary:
        (temporary / "x").touch()
    assert (tmp_path / "new" / "x").exists()


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "the disk is full"), (errno.EFBIG, "larger than the file system")]
)
def test_what_the_disk_refuses_is_said_in_words(tmp_path: Path, code: int, reason: str) -> None:
    with (
        pytest.raises(UserError, match=rf"cannot write .*file\.txt: .*{reason}"),
        atomic_path(tmp_path / "file.txt"),
    ):
        raise OSError(code, os.strerror(code))
    assert list(tmp_path.iterdir()) == []
