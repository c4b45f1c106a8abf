"""Several files at a time are as one after the other, and `dry` only tells."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch import Tensor

from sedistill.common.errors import UserError
from sedistill.inference.enhancing import enhance_files, file_jobs
from tests.inference.enhancing.conftest import RATE, Unchanged, music


def folder_of(tmp_path: Path, *lengths: int) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, length in enumerate(lengths):
        soundfile.write(folder / f"{number}.wav", music(length, seed=number), RATE)
    return folder


def use(network: Unchanged, monkeypatch: pytest.MonkeyPatch) -> Unchanged:
    monkeypatch.setattr(file_jobs, "load_model", lambda *_: network)
    return network


def test_two_are_at_work_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Meeting(Unchanged):
        barrier = threading.Barrier(2)

        def forward(self, noisy: Tensor) -> Tensor:
            self.barrier.wait(timeout=20)  # broken where nobody else comes
            return noisy

    use(Meeting(), monkeypatch)
    enhance_files("model", [folder_of(tmp_path, 100, 200, 300, 400)], tmp_path / "out", workers=2)


def test_any_number_gives_the_same_in_the_same_order(tmp_path: Path, model: Path) -> None:
    source = folder_of(tmp_path, 9000, 5000, 0, 7000)
    (source / "broken.wav").write_bytes(b"RIFF")
    for workers in (1, 3):
        with pytest.raises(UserError, match="1 of 5 files"):
            enhance_files(model, [source], tmp_path / str(workers), workers=workers)
    for number in range(4):
        one, many = (soundfile.read(tmp_path / str(w) / f"{number}.wav")[0] for w in (1, 3))
        np.testing.assert_array_equal(one, many)


def test_what_stops_one_stops_all_and_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            super().forward(noisy)
            if noisy.shape[1] == 100:
                raise KeyboardInterrupt
            time.sleep(0.3)
            return noisy

    network = use(Interrupted(), monkeypatch)
    source = folder_of(tmp_path, 100, 0, 200)
    soundfile.write(source / "1.wav", np.zeros(300 * RATE, np.int16), RATE)
    with pytest.raises(KeyboardInterrupt):
        enhance_files("model", [source], tmp_path / "out", workers=2)
    left = {path.name for path in (tmp_path / "out").rglob("*")} if (tmp_path / "out").exists() else set()
    assert left <= {"2.wav"}  # begun before the first was found to have stopped
    assert len(network.lengths) < 10  # of 34 chunks


@pytest.mark.parametrize(
    ("whole", "said"), [(0, ""), (1, "1 of 2 files written, and whole; say --overwrite")]
)
def test_an_interruption_says_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int, said: str
) -> None:
    class Interrupted(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            if len(self.lengths) == whole:
                raise KeyboardInterrupt
            return super().forward(noisy)

    use(Interrupted(), monkeypatch)
    with pytest.raises(KeyboardInterrupt) as interruption:
        enhance_files("model", [folder_of(tmp_path, 100, 200)], tmp_path / "out", workers=1)
    assert str(interruption.value).startswith(said)
    assert bool(str(interruption.value)) == bool(whole)


def test_dry_tells_and_writes_nothing(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder_of(tmp_path, 24_000, 8000)
    (source / "notes.txt").write_text("no sound")
    before = sorted(tmp_path.rglob("*"))
    wanted = enhance_files("model", [source], tmp_path / "out", dry=True, strength_db=6)
    assert sorted(tmp_path.rglob("*")) == before
    assert unchanged.lengths == []
    printed = capsys.readouterr().out
    assert (
        f"{source / '0.wav'} -> {tmp_path / 'out' / '0.wav'}: 1.5 s, 16000 Hz, 1 channel, WAV PCM_16"
        in printed
    )
    assert "2 files, 2.0 s of audio, to be enhanced by model into" in printed
    assert "lowered by 6 dB at most" in printed
    assert printed.endswith("Nothing was written.\n")
    assert enhance_files("model", [source], tmp_path / "out", strength_db=6) == wanted


def test_dry_refuses_what_would_be_refused(tmp_path: Path, unchanged: Unchanged) -> None:
    source = folder_of(tmp_path, 100)
    (source / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="1 of 2 files"):
        enhance_files("model", [source], tmp_path / "out", dry=True)
    enhance_files("model", [source / "0.wav"], tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        enhance_files("model", [source / "0.wav"], tmp_path / "out", dry=True)


def test_no_workers_do_nothing(tmp_path: Path, unchanged: Unchanged) -> None:
    with pytest.raises(UserError, match="workers = 0"):
        enhance_files("model", [folder_of(tmp_path, 100)], tmp_path / "out", workers=0)
