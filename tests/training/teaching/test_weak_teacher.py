"""A teacher that is worse than the noisy input is told with both figures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sedistill.teachers.foreign import InStep
from sedistill.teachers.source import TeacherSource
from sedistill.training.teaching.weak_teacher import weak_teacher_warning
from tests.teachers.test_foreign import RATE, Elsewhere, write_speech


@pytest.mark.parametrize(("gain", "added", "worse"), [(0.5, 0.0, False), (1.0, 0.05, True)])
def test_worse_is_told_and_equal_is_not(tmp_path: Path, gain: float, added: float, worse: bool) -> None:
    """Quieter is not worse; noise of its own is."""
    clips = write_speech(tmp_path / "set")
    noise = added * np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
    teacher = TeacherSource(InStep(Elsewhere(gain=gain, change=lambda wave: wave + noise), RATE))
    told = weak_teacher_warning(teacher, clips, torch.device("cpu"))
    assert (told is not None) == worse
    assert not worse or "SI-SDR" in str(told)
