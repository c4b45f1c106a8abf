"""What is told of a set: files that are none of its clips, and offsets."""

from pathlib import Path

import numpy as np

from sedistill.audio.files import write
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import TEACHER_OUTPUTS, place_of_teacher
from sedistill.data.set_notes import notes_on, offset_warning
from tests.evaluation.signals import RATE, noise, speech_like


def test_strays_are_told_and_what_is_known_of_teachers_is_none(tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        for name in "abc":
            write(tmp_path / side / f"{name}.wav", speech_like(0.5), RATE)
        (tmp_path / side / "d.m4a").write_bytes(b"x")
    of_a_teacher = place_of_teacher(tmp_path / TEACHER_OUTPUTS, 64 * "0", 64 * "1")
    of_a_teacher.mkdir(parents=True)
    (of_a_teacher / "outputs.f32").write_bytes(bytes(8))
    of_clean, of_noisy = notes_on(FixedSet(tmp_path), listened_to=1)
    assert of_clean.startswith(f"Left out: {tmp_path / 'clean/d.m4a'}: .m4a is not read")
    assert of_noisy.startswith(f"Left out: {tmp_path / 'noisy/d.m4a'}: .m4a is not read")


def test_an_offset_on_clean_or_noisy_files_is_told_of_sets_that_were_not_mixed_here(tmp_path: Path) -> None:
    clean = speech_like(1.0)
    noisy = clean + noise(len(clean), level=0.01, seed=1)
    for number, of_clean, of_noisy in ((0, 0.0, 0.0), (1, -0.1, -0.1), (2, 0.0, 0.05)):
        write(tmp_path / f"clean/clean_fileid_{number}.wav", clean + of_clean, RATE)
        write(tmp_path / f"noisy/book_fileid_{number}.wav", noisy + of_noisy, RATE)
    of_clean, of_noisy = offset_warning(FixedSet(tmp_path))
    assert of_clean.startswith("Warning: 1 of 3 clean files looked at have an offset")
    assert f"of full scale, {tmp_path / 'clean/clean_fileid_1.wav'}; SI-SDR" in of_clean
    assert of_noisy.startswith("Warning: 2 of 3 noisy files looked at have an offset")
    assert f"of full scale, {tmp_path / 'noisy/book_fileid_1.wav'}; SI-SDR" in of_noisy
    mixed_here = FixedSet(tmp_path)
    mixed_here.is_mixed_here = True
    assert notes_on(mixed_here) == notes_on(mixed_here.evenly(2)) == []


def test_slow_rumble_is_no_offset(tmp_path: Path) -> None:
    clean = speech_like(1.0)
    rumble = 0.1 * np.sin(2 * np.pi * 0.7 * np.arange(len(clean)) / RATE)  # its mean over this clip is not 0
    write(tmp_path / "clean/a.wav", clean + rumble, RATE)
    write(tmp_path / "noisy/a.wav", clean + rumble + noise(len(clean), level=0.01, seed=1), RATE)
    assert list(offset_warning(FixedSet(tmp_path))) == []
