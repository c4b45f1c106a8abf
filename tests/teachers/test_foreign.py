"""Teachers from elsewhere, whatever their kind: in step, at the level of the clean speech, measured once."""

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from filelock import FileLock
from pydantic import TypeAdapter
from torch import nn

from sedistill.audio.resampling import resample
from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.distill import BIN_LOSSES
from sedistill.teachers import measuring, opening
from sedistill.teachers.cached import CachedOutputs, OutputCache
from sedistill.teachers.foreign import ForeignTeacher, InStep, Wave
from sedistill.teachers.measuring import Measured, agreed_delay, measure, measured
from sedistill.teachers.opening import measure_on, open_teacher
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.training.recipe.objectives import AnyObjective
from sedistill.training.tasks import Task

RATE = 16_000


class Elsewhere(ForeignTeacher):
    """Gives its input back: late, at some level, at some rate, or otherwise as a test wants it."""

    def __init__(self, late: int = 0, gain: float = 1.0, rate: int | None = None, change=None) -> None:
        super().__init__("elsewhere", f"{late}-{gain}-{rate}", rate)
        self.late, self.gain, self.change, self.asked = late, gain, change, 0

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        self.asked += 1
        output = np.float32(self.gain) * np.pad(noisy, (self.late, 0))[: len(noisy)]
        return output if self.change is None else self.change(output)


def write_speech(folder: Path, clips: int = 4, samples: int = 16_000, rate: int = RATE) -> FixedSet:
    """Pairs of loud and soft noise bursts, as broad and aperiodic as speech, and a little noise on them."""
    random = np.random.default_rng(5)
    for index in range(clips):
        bursts = np.repeat(random.uniform(0, 1, samples // 400), 400) ** 2
        clean = 0.1 * bursts * random.standard_normal(samples)
        noisy = clean + 0.001 * random.standard_normal(samples)
        for kind, sound in (("clean", clean), ("noisy", noisy)):
            path = folder / kind / f"{index:03d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, sound.astype(np.float32), rate, subtype="FLOAT")
    return FixedSet(folder)


@pytest.fixture
def clips(tmp_path: Path) -> FixedSet:
    return write_speech(tmp_path / "set")


@pytest.mark.parametrize(("late", "rate"), [(0, None), (37, None), (1_440, 48_000), (240, 8_000)])
def test_delay_level_and_sign_are_measured_and_taken_out(
    clips: FixedSet, late: int, rate: int | None
) -> None:
    found = measure(InStep(Elsewhere(late, -0.5, rate), RATE), clips)
    assert (found.delay, found.clips, found.clear) == (late, 4, 4)
    assert found.level.factor == pytest.approx(-2.0, rel=0.03)
    source = TeacherSource(InStep(Elsewhere(late, -0.5, rate), RATE, found.delay), -2.0)
    noisy = torch.from_numpy(clips[0][0])[None]
    known = noisy[0].numpy()
    if rate is not None:
        known = resample(resample(known, RATE, rate), rate, RATE)
    inside = slice(1_000, -1_000)  # at the ends the resampler rings otherwise
    np.testing.assert_allclose(source(noisy)[0].numpy()[inside], known[inside], atol=2e-4)


def test_of_a_teacher_at_half_the_rate_nothing_is_known_above_its_nyquist(clips: FixedSet) -> None:
    assert measure(InStep(Elsewhere(rate=8_000), RATE), clips).cutoff_hz == pytest.approx(4_000, abs=300)
    assert measure(InStep(Elsewhere(rate=48_000), RATE), clips).cutoff_hz is None


def test_a_cutoff_of_its_own_is_measured(clips: FixedSet) -> None:
    def dull(wave: Wave) -> Wave:
        spectrum = np.fft.rfft(wave)
        spectrum[int(0.7 * len(spectrum)) :] = 0
        return np.fft.irfft(spectrum, len(wave)).astype(np.float32)

    assert measure(InStep(Elsewhere(change=dull), RATE), clips).cutoff_hz == pytest.approx(5_600, abs=260)


LOSSES = [{"loss": name} for name in BIN_LOSSES] + [
    {"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"}, {"loss": "kl"}, {"loss": "si_snr"},
    {"loss": "waveform_l1"}, {"loss": "waveform_l2"}, {"loss": "clean_and_noise"},
]  # fmt: skip


@pytest.mark.parametrize("described", LOSSES, ids=str)
def test_no_objective_learns_above_the_bandwidth(described: dict) -> None:
    """Half of the band is known: above it the gradient on the student's output is rounding."""
    torch.manual_seed(0)
    waves, samples = 0.1 * torch.randn(3, 2, 8_000), 8_000
    estimate = waves[0].clone().requires_grad_()
    objective = TypeAdapter(AnyObjective).validate_python(described).build(nn.Module(), None)
    task = Task(lambda _: estimate, None, 0.0, {"x": (1.0, objective)}, 1.0, {}, None, bandwidth=0.5)  # type: ignore[arg-type]
    task.losses({"noisy": waves[1], "clean": waves[1], "teacher": waves[2]}).kd.backward()
    gradient = torch.fft.rfft(estimate.grad).abs()
    assert gradient[:, samples // 4 + 2 :].norm() < 1e-5 * gradient[:, : samples // 4].norm()


def test_a_delay_that_differs_from_clip_to_clip_is_refused(clips: FixedSet) -> None:
    waits = iter([0, 300, 700, 1_500])
    teacher = Elsewhere(change=lambda wave: np.pad(wave, (next(waits), 0))[: len(wave)])
    with pytest.raises(UserError, match="differing from clip to clip"):
        measure(InStep(teacher, RATE), clips)
    assert agreed_delay([30, 31, 30, 30], RATE, "x") == 30


def test_a_stated_delay_is_believed(clips: FixedSet) -> None:
    found = measure(InStep(Elsewhere(48, rate=48_000), RATE), clips, delay_ms=1.0)
    assert (found.delay, found.clear) == (48, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (np.zeros_like, "gives silence for each of 4 clips"),
        (lambda wave: np.where(np.arange(len(wave)) == 9, np.nan, wave), "NaN or infinite"),
        (lambda wave: wave[::3], "gives 5334 samples for 16000"),
        (lambda wave: np.stack([wave, wave]), r"gives shape \(2, 16000\)"),
        (lambda wave: np.random.default_rng(len(wave)).normal(0, 0.1, len(wave)), "no clip tells how late"),
    ],
)
def test_what_is_no_cleaned_speech_is_refused(clips: FixedSet, change, words: str) -> None:
    with pytest.raises(UserError, match=words):
        measure(InStep(Elsewhere(change=change), RATE), clips)


def test_what_was_measured_is_kept_beside_the_outputs(clips: FixedSet, tmp_path: Path) -> None:
    teacher = Elsewhere(37)
    first = measured(InStep(teacher, RATE), clips, None, tmp_path / "kept")
    asked = teacher.asked
    assert measured(InStep(teacher, RATE), clips, None, tmp_path / "kept") == first
    assert teacher.asked == asked
    assert measured(InStep(teacher, RATE), clips, 0.0, tmp_path / "kept").delay == 0  # stated otherwise
    assert isinstance(first, Measured)


def test_outputs_are_kept_from_all_cores_and_gone_on_with_at_any_clip(
    clips: FixedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = TeacherSource(InStep(Elsewhere(37, 0.5), RATE, 37), 2.0)
    whole = OutputCache(tmp_path / "whole", clips, source).open()
    np.testing.assert_allclose(CachedOutputs(whole, 2.0)[2], clips[2][0], rtol=1e-5, atol=1e-7)

    failing = OutputCache(tmp_path / "kept", clips, source)
    of_clip = InStep.of_clip

    def fails_on_the_last(self: InStep, dataset: FixedSet, index: int) -> Wave:
        if index == 3:
            raise UserError("this clip fails")
        return of_clip(self, dataset, index)

    monkeypatch.setattr(InStep, "of_clip", fails_on_the_last)
    with pytest.raises(UserError, match="this clip fails"):
        failing.open()
    done: list[int] = []
    monkeypatch.setattr(InStep, "of_clip", lambda self, s, i: done.append(i) or of_clip(self, s, i))
    np.testing.assert_array_equal(failing.open(), whole)
    assert done == [3]


def test_hash_covers_teacher_rate_and_delay() -> None:
    teachers = [InStep(Elsewhere(), RATE), InStep(Elsewhere(), 8_000), InStep(Elsewhere(), RATE, 3)]
    teachers.append(InStep(Elsewhere(5), RATE))
    assert len({one.hash for one in teachers}) == 4


def test_level_may_be_left_as_it_is(clips: FixedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_foreign", lambda settings: Elsewhere(10, 0.25))
    settings = TeacherFrom(deepfilternet="bundled")
    assert open_teacher(settings, RATE, on=clips).level_factor == pytest.approx(4, rel=0.03)
    assert open_teacher(settings, RATE, on=clips, correct_level=False).level_factor == 1.0
    assert measure_on(open_teacher(settings, RATE), settings, clips).measured.delay == 10  # type: ignore[union-attr]
    assert measuring.CARD == "measured.yaml"


def test_of_two_labellings_at_once_one_waits_and_says_so(
    clips: FixedSet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    teacher = Elsewhere()
    caches = [OutputCache(tmp_path, clips, TeacherSource(InStep(teacher, RATE))) for _ in range(2)]
    caches[0].folder.mkdir(parents=True)
    lock = FileLock(caches[0].folder / "lock")
    with lock, ThreadPoolExecutor(1) as pool:
        second = pool.submit(caches[1].open)
        while "another command computes them" not in capsys.readouterr().out:
            assert not second.done()
            time.sleep(0.01)
        lock.release()
        assert len(second.result()) == 4
    caches[0].open()
    assert teacher.asked == 4


def test_a_full_disk_ends_in_one_sentence_and_nothing_is_lost(clips: FixedSet, tmp_path: Path) -> None:
    teacher = Elsewhere(37, 0.5)
    source = TeacherSource(InStep(teacher, RATE, 37), 2.0)
    whole = np.array(OutputCache(tmp_path / "whole", clips, source).open())
    kept = OutputCache(tmp_path / "kept", clips, source)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(2.5 * whole[0].nbytes), limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*outputs\.f32\.unfinished: .*larger than"):
            kept.open()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    teacher.asked = 0
    np.testing.assert_array_equal(kept.open(), whole)
    assert teacher.asked == 2  # of four clips two were done


def test_a_delay_into_the_future_is_taken_out_of_a_teacher_that_looks_ahead(clips: FixedSet) -> None:
    """One that gives each frame once it has heard the next: its student gets no sound of the future."""
    ahead = InStep(Elsewhere(change=lambda wave: np.pad(wave, (0, 160))[160:]), RATE)
    found = measure(ahead, clips)
    assert found.delay == -160
    assert "10 ms early (160 samples)" in found.delay_text()
    source = TeacherSource(InStep(ahead.inner, RATE, found.delay), found.level.factor)
    noisy = torch.from_numpy(clips[0][0])[None]
    torch.testing.assert_close(source(noisy)[:, :-160], found.level.factor * noisy[:, :-160])
