"""One command at a time: the lock is taken, refused, and let go however its holder ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.common.writing.locking import exclusive_lock, refuse_if_taken

HOLD = """
import sys
from pathlib import Path
from sedistill.common.writing.locking import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "sedistill train"):
    print("held", flush=True)
    sys.stdin.read()
"""
SENTENCE = r"another `sedistill train` is at work in .*place; wait for it or choose .* --output\.$"


def is_free(lock: Path) -> bool:
    try:
        with exclusive_lock(lock, "sedistill train"):
            return True
    except UserError:
        return False


def test_the_folder_is_made_and_a_second_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    lock = tmp_path / "a" / "place" / ".lock"
    with exclusive_lock(lock, "sedistill train"):
        with pytest.raises(UserError, match=SENTENCE), exclusive_lock(lock, "sedistill train"):
            pass
        with pytest.raises(UserError, match=SENTENCE):
            refuse_if_taken(lock, "sedistill train")
        assert is_free(tmp_path / "b" / ".lock")
    assert is_free(lock)
    refuse_if_taken(lock, "sedistill train")
    assert [path.name for path in lock.parent.iterdir()] == [".lock"]


def test_looking_makes_nothing(tmp_path: Path) -> None:
    refuse_if_taken(tmp_path / "new" / ".lock", "sedistill train")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_the_work_lets_go(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), exclusive_lock(tmp_path / ".lock", "sedistill train"):
        raise error
    assert is_free(tmp_path / ".lock")


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not is_free(lock)
        process.kill()
    assert lock.exists()
    assert is_free(lock)


def test_a_place_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock = tmp_path / "file" / "x" / ".lock"
    with (
        pytest.raises(UserError, match="part of the path is a file"),
        exclusive_lock(lock, "sedistill train"),
    ):
        pass
