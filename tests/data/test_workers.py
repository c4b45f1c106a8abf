"""What goes wrong in data workers is told in the words that it is told in without them."""

import contextlib
import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, get_worker_info

from sedistill.audio.files import AudioFileError
from sedistill.common import parallel
from sedistill.common.errors import UserError
from sedistill.data import workers
from sedistill.data.batches import train_loader
from sedistill.data.workers import Batches, named_worker_faults


class Failing(Dataset):
    """Eight examples, whose sixth does what `fail` does."""

    def __init__(self, fail: Any) -> None:
        self.fail = fail

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        if key[1] == 5:
            self.fail()
        return {"noisy": np.zeros(100, np.float32), "index": key[1]}


def refuse() -> None:
    raise UserError("clip 5 is bad; take it away.")


def refuse_file() -> None:
    raise AudioFileError("clips/5.wav", "is damaged")


def no_permission() -> None:
    raise PermissionError(errno.EACCES, "Permission denied", "clips/5.wav")


def no_memory() -> None:
    raise MemoryError


def killed() -> None:
    if get_worker_info() is not None:
        os.kill(os.getpid(), signal.SIGKILL)


def bus_error() -> None:
    if get_worker_info() is not None:
        os.kill(os.getpid(), signal.SIGBUS)


def exits() -> None:
    if get_worker_info() is not None:
        os._exit(3)


def no_shared_memory() -> None:
    raise RuntimeError("unable to write to file </torch_1_2_0>: No space left on device (28)")


SAME_WORDS = {
    refuse: r"^clip 5 is bad; take it away\.$",
    refuse_file: r"^clips/5\.wav is damaged\.$",
    no_permission: r"^cannot read clips/5\.wav: Permission denied",
    no_memory: r"no memory left for batches; lower optimiser\.batch_size or data\.workers",
}


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("fail", SAME_WORDS)
def test_the_words_are_the_same_with_and_without_workers(fail: Any, count: int) -> None:
    with pytest.raises(UserError, match=SAME_WORDS[fail]) as error:
        list(train_loader(Failing(fail), 2, seed=0, workers=count))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (killed, r"ended from outside \(Killed\).*lower data\.workers"),
        (exits, r"ended from outside.*lower data\.workers"),
        (bus_error, r"shared memory.*set data\.workers=0"),
    ],
)
def test_a_worker_that_ends_is_named_with_the_remedy(fail: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as error, named_worker_faults():
        list(train_loader(Failing(fail), 2, seed=0, workers=2))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("unable to open shared memory object </torch_1> in read-write mode: ...", "shared memory"),
        ("unable to write to file </torch_1>: No space left on device (28)", "shared memory"),
        ("received 0 items of ancdata", "open files"),
        ("Too many open files. Communication with the workers is no longer possible.", "open files"),
    ],
)
def test_torchs_words_become_a_sentence(message: str, words: str) -> None:
    with pytest.raises(UserError, match=words), named_worker_faults():
        raise RuntimeError(message)


def test_a_fault_of_the_program_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"), named_worker_faults():
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")


def nothing() -> None:
    pass


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="Linux's shared memory")
@pytest.mark.parametrize("case", ["small", "missing"])
def test_without_room_in_shared_memory_there_are_no_workers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, case: str
) -> None:
    if case == "small":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(64, 64, 3999))  # type: ignore[attr-defined]
    else:
        monkeypatch.setattr(workers, "SHARED_MEMORY", tmp_path / "missing")
    loader = train_loader(Failing(nothing), 2, seed=0, workers=2)  # 800 bytes a batch, five of them
    assert loader.num_workers == 0
    assert "batches are prepared without them" in capsys.readouterr().out
    assert sum(len(batch["index"]) for batch in loader) == 8


def test_with_just_enough_room_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(64, 64, 4000))  # type: ignore[attr-defined]
    assert train_loader(Failing(nothing), 2, seed=0, workers=2).num_workers == 2


def test_workers_on_one_core_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(workers, "usable_cores", lambda: 1)
    train_loader(Failing(nothing), 2, seed=0, workers=2)
    assert "0 would be faster" in capsys.readouterr().out
    assert len(recwarn) == 0


def test_workers_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    loader = train_loader(Failing(nothing), 2, seed=0, workers=2)
    monkeypatch.setattr(torch.multiprocessing.Process, "start", no_process)
    with pytest.raises(UserError, match=r"data\.workers = 2: they cannot be started \(Resource"):
        next(iter(loader))


def test_the_loader_is_still_one_of_torch() -> None:
    loader = train_loader(Failing(nothing), 2, seed=0)
    assert isinstance(loader, Batches)
    assert len(loader) == 4


def test_workers_leave_signals_to_their_parent_who_kills_them() -> None:
    batches = iter(train_loader(Failing(nothing), 2, seed=0, workers=2)._started())
    next(batches)
    for worker in batches._workers:  # as a job manager does, and to the parent too
        os.kill(worker.pid, signal.SIGTERM)
    assert len(list(batches)) == 3
    batches = train_loader(Failing(nothing), 2, seed=0, workers=2)._started()
    next(batches)
    for worker in batches._workers:
        with contextlib.suppress(RuntimeError):  # torch's, that a worker was killed, whenever it hears of it
            worker.terminate()
            worker.join(60)
        worker.join(60)
        assert worker.exitcode == -signal.SIGKILL


def test_processes_of_a_pool_leave_signals_to_their_parent() -> None:
    assert parallel.parallel_map(end_own_process, range(100), 2, "writing", "clips") == list(range(100))


def end_own_process(item: int) -> int:
    os.kill(os.getpid(), signal.SIGTERM)
    return item


def test_a_killed_process_of_a_pool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"writing: one of 2 processes was ended.*--workers 1"):
        parallel.parallel_map(kill_own_process, range(100), 2, "writing", "clips")


def kill_own_process(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_without_semaphores_one_process_does_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def no_semaphore(*_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", no_semaphore)
    assert parallel.parallel_map(str, range(100), 2, "writing", "clips")[99] == "99"
    assert "note: no processes can be started" in capsys.readouterr().out
