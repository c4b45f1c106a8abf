"""Signals: heard at once or at the next safe moment, never lost, and every command answers them alike."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sedistill.common import interruption
from sedistill.common.interruption import deferred, heard, safe_moment, uninterrupted
from sedistill.common.progress import track
from sedistill.common.writing import atomic_folder, atomic_path
from tests.interrupted import World, faults


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_raises_and_what_was_there_before_is_given_back(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), heard():
        send(number)
    assert signal.getsignal(number) is before


class RaisesNothing:
    """A finalizer, from which nothing can be raised."""

    def __del__(self) -> None:
        send()


@pytest.mark.parametrize("where", ["finalizer", "import", "callback"])
def test_one_that_code_swallows_is_raised_at_the_next_safe_moment(where: str, tmp_path: Path) -> None:
    def swallow() -> None:
        if where == "finalizer":
            RaisesNothing()
        elif where == "import":
            (tmp_path / "hears_a_signal.py").write_text(
                "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
            )
            sys.path.insert(0, str(tmp_path))
            try:
                import hears_a_signal  # type: ignore[import-not-found]  # noqa: F401
            finally:
                sys.path.pop(0)
                sys.modules.pop("hears_a_signal", None)
        else:
            with suppress(KeyboardInterrupt):  # as C does that calls back
                send()

    for write in (atomic_path, atomic_folder):
        with heard():
            swallow()
            with pytest.raises(KeyboardInterrupt), write(tmp_path / "out"):
                pytest.fail("it went unheard")
    with heard():
        swallow()
        with pytest.raises(KeyboardInterrupt):
            list(track([1]))
    assert not (tmp_path / "out").exists()


def test_nothing_is_raised_twice_on_the_way_out(tmp_path: Path) -> None:
    def clean_up() -> None:
        try:
            send()
        finally:
            with atomic_path(tmp_path / "minutes") as new:
                new.touch()

    with heard(), pytest.raises(KeyboardInterrupt):
        clean_up()
    assert (tmp_path / "minutes").exists()


def test_a_short_piece_of_work_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    with heard():
        with uninterrupted():
            send()
            monkeypatch.setattr(interruption, "TOGETHER_SECONDS", 0)
            send()
            done.append(True)
        with pytest.raises(KeyboardInterrupt):
            safe_moment()
    assert done


def test_the_first_waits_where_the_work_asks_for_it_and_the_second_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with deferred() as came:
        assert not came()
        send(signal.SIGTERM)
        safe_moment()
        assert came()
        send(signal.SIGTERM)  # sent twice at once, as `timeout` does
        monkeypatch.setattr(interruption, "TOGETHER_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            send()


def test_a_hang_up_that_is_to_be_ignored_stays_ignored_and_ctrl_c_does_not() -> None:
    code = """
import os, signal
from sedistill.common.interruption import heard
with heard():
    os.kill(os.getpid(), signal.SIGHUP)
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("heard")
"""
    command = f"trap '' HUP INT; {sys.executable} -c \"$CODE\""
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env={**os.environ, "CODE": code}
    )
    assert (done.returncode, done.stdout) == (0, "heard\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize(
    ("command", "number", "delay"),
    [
        ("prepare", signal.SIGINT, None),
        ("prepare", signal.SIGTERM, 0.2),
        ("mix", signal.SIGTERM, None),
        ("evaluate", signal.SIGTERM, None),
        ("enhance", signal.SIGTERM, None),
        ("train", signal.SIGHUP, 2.0),
    ],
)
def test_every_command_ends_in_order(world: World, command: str, number: int, delay: float | None) -> None:
    assert list(faults(world, command, number, delay)) == []
