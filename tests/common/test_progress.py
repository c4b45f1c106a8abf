"""The progress of long work: how far, how fast, how long still."""

import pytest

from sedistill.common import progress
from sedistill.common.progress import ProgressBar, duration_text, track


def test_track_passes_everything_on(capsys: pytest.CaptureFixture) -> None:
    assert list(track(range(5), description="Counting", unit="things")) == [0, 1, 2, 3, 4]
    assert "Counting: 5/5 things" in capsys.readouterr().err


def test_rate_and_time_left_by_hand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with ProgressBar("Work", total=30, unit="clips", done=10) as bar:
        now[0] += 20.0
        bar.advance(5, note="loss 1.5")
    first = capsys.readouterr().err.splitlines()[0]
    # 5 clips in 20 s of this attempt; 15 of 30 are left.
    assert first == "Work: 15/30 clips, 0.2 clips/s, 60 s left loss 1.5"


def test_no_time_left_is_told_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with ProgressBar("Work", total=30, unit="clips", done=10) as bar:
        now[0] += 20.0
        bar.advance(0, note="a.wav")
    assert capsys.readouterr().err == "Work: 10/30 clips, 0.0 clips/s a.wav\n"


def test_nothing_is_said_of_work_that_failed(capsys: pytest.CaptureFixture) -> None:
    def work() -> None:
        with ProgressBar("Work", total=3) as bar:
            bar.advance()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert "Work" not in capsys.readouterr().err


def test_durations_read_well() -> None:
    assert [duration_text(seconds) for seconds in (40, 89, 150, 5399, 12_240)] == [
        "40 s", "89 s", "2 min", "90 min", "3.4 h",
    ]  # fmt: skip


def test_the_time_left_may_be_known_better(capsys: pytest.CaptureFixture) -> None:
    with ProgressBar("Work", total=3, left=lambda: "2 h left") as bar:
        bar.advance()
    assert capsys.readouterr().err.rstrip().endswith(", 2 h left")
