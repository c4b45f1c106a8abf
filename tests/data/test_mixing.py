"""Mixtures: what is drawn, the SNR that comes out, and that nothing but the key decides."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.audio import levels
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings, mixing_settings, plan_mixture
from sedistill.data.preparation import prepare
from sedistill.data.randomness import philox
from sedistill.data.rendering import make_mixture

from .sounds import RATE, noise, save, speech, speech_and_noise

ONE_SECOND = MixingSettings(clip_seconds=1.0)


@pytest.fixture(scope="module")
def material(mixed_corpus: Path) -> Material:
    return Material(Corpus.load(mixed_corpus).split("train"))


@given(st.integers(0, 10_000))
def test_snr_and_level_are_those_of_the_plan(material: Material, index: int) -> None:
    made = make_mixture(3, 0, index, material, ONE_SECOND)
    where = slice(made.plan.speech_offset, made.plan.speech_offset + made.plan.speech.frames)
    clean, residue = made.clean.astype(float), made.noisy.astype(float) - made.clean
    speech_db = levels.active_level_db(clean[where], RATE)
    assert speech_db - levels.active_level_db(residue, RATE) == pytest.approx(made.plan.snr_db, abs=0.02)
    assert speech_db - levels.gain_to_db(made.guard) == pytest.approx(made.plan.level_db, abs=0.01)
    assert 0.0 <= made.plan.snr_db <= 20.0
    assert -29.0 <= made.plan.level_db <= -23.0
    assert levels.peak(made.noisy) <= 0.99001
    assert made.noisy.shape == made.clean.shape == (RATE,)
    assert made.noisy.dtype == made.clean.dtype == np.float32


def test_snr_covers_its_range_evenly(material: Material) -> None:
    settings = MixingSettings(snr_db_low=-5, snr_db_high=15, clip_seconds=1.0)
    drawn = [plan_mixture(0, 0, index, material, settings).snr_db for index in range(2000)]
    counts, _ = np.histogram(drawn, bins=10, range=(-5, 15))
    assert counts.sum() == 2000
    assert counts.min() > 150  # 200 expected, 3.5 standard deviations allowed


def test_speech_is_drawn_by_its_length(material: Material) -> None:
    drawn = [plan_mixture(0, 0, index, material, ONE_SECOND).speech.clip for index in range(3000)]
    share = np.bincount(drawn, minlength=len(material.speech)) / 3000
    assert share == pytest.approx(material.speech.frames / material.speech.frames.sum(), abs=0.05)


@given(st.integers(0, 2**63), st.integers(0, 1000), st.integers(0, 10**6))
def test_a_plan_is_a_function_of_its_key(material: Material, seed: int, epoch: int, index: int) -> None:
    plan = plan_mixture(seed, epoch, index, material, ONE_SECOND)
    np.random.seed(0)
    assert plan_mixture(seed, epoch, index, material, ONE_SECOND) == plan
    for other in ((seed + 1, epoch, index), (seed, epoch + 1, index), (seed, epoch, index + 1)):
        assert plan_mixture(*other, material, ONE_SECOND) != plan
    again = plan_mixture(seed, epoch, index, material, ONE_SECOND, attempt=1)
    assert again != plan
    assert (again.speech.clip, again.noise[0].clip) == (plan.speech.clip, plan.noise[0].clip)
    assert (again.snr_db, again.level_db) == (plan.snr_db, plan.level_db)


@given(st.integers(0, 1000), st.floats(0.5, 6.0), st.integers(0, 50))
def test_plans_stay_within_their_recordings(
    material: Material, index: int, clip_seconds: float, crossfade_ms: int
) -> None:
    settings = MixingSettings(clip_seconds=clip_seconds, crossfade_ms=crossfade_ms)
    plan = plan_mixture(0, 0, index, material, settings)
    assert plan.frames == round(clip_seconds * RATE)
    for pieces, corpus in (((plan.speech,), material.speech), (plan.noise, material.noise)):
        for piece in pieces:
            assert piece.start >= 0
            assert piece.frames > 0
            assert piece.start + piece.frames <= corpus.frames[piece.clip]
    assert plan.speech_offset + plan.speech.frames <= plan.frames
    joined = sum(piece.frames for piece in plan.noise) - plan.crossfade * (len(plan.noise) - 1)
    assert joined >= plan.frames
    assert all(piece.frames >= 2 * plan.crossfade for piece in plan.noise[1:])


def test_short_noise_is_joined_with_others_of_its_class(material: Material) -> None:
    settings = MixingSettings(clip_seconds=6.0)
    several = 0
    for index in range(50):
        pieces = plan_mixture(0, 0, index, material, settings).noise
        groups = {material.noise[piece.clip].group for piece in pieces}
        assert len(groups) == 1
        assert all(a.clip != b.clip for a, b in pairwise(pieces))
        several += len({piece.clip for piece in pieces}) > 1
    assert several == 50


def test_a_lone_recording_of_noise_is_looped(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds", classes=0)
    for number in range(3):
        save(noises / f"{number}.wav", noise(0.3, number))
    corpus = prepare(tmp_path / "c", clean=clean, noise=noises, workers=1).corpus
    made = make_mixture(0, 0, 0, Material(Corpus.load(corpus.folder).split("train")), ONE_SECOND)
    assert {piece.clip for piece in made.plan.noise} == {0}
    assert len(made.plan.noise) > 3
    frames = (made.noisy - made.clean)[:15_360].reshape(-1, 512)
    assert (frames.std(axis=1) > 0.5 * frames.std()).all()  # noise throughout


def test_speech_shorter_than_the_mixture_has_pauses_around_it(material: Material) -> None:
    settings = MixingSettings(clip_seconds=5.0)
    offsets = set()
    for index in range(20):
        made = make_mixture(0, 0, index, material, settings)
        plan = made.plan
        assert plan.speech.frames == material.speech.frames[plan.speech.clip]
        assert not made.clean[: plan.speech_offset].any()
        assert not made.clean[plan.speech_offset + plan.speech.frames :].any()
        offsets.add(plan.speech_offset)
    assert len(offsets) > 15


def test_whole_recordings_when_no_length_is_set(material: Material) -> None:
    settings = MixingSettings(clip_seconds=None)
    for index in range(len(material.speech)):
        made = make_mixture(0, 0, index, material, settings)
        assert len(made.noisy) == material.speech.frames[index]


def test_segments_of_pause_are_drawn_again(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    clean, noises = speech_and_noise(sounds, speakers=0)
    for number in range(3):
        save(clean / f"{number}.wav", np.concatenate([speech(2, number), np.zeros(8 * RATE)]))
    corpus = prepare(tmp_path / "c", clean=clean, noise=noises, workers=1).corpus
    material = Material(Corpus.load(corpus.folder).split("train"))
    redrawn = 0
    for index in range(20):
        made = make_mixture(0, 0, index, material, ONE_SECOND)
        assert made.clean.any()
        redrawn += made.plan != plan_mixture(0, 0, index, material, ONE_SECOND)
    assert redrawn > 5


def test_noise_with_long_silence_never_gives_a_silent_or_infinite_mixture(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    clean, noises = speech_and_noise(sounds, classes=0)
    for number in range(3):
        shot = np.concatenate([noise(0.2, number), np.zeros(9 * RATE)])
        save(noises / f"{number}.wav", shot)
    corpus = prepare(tmp_path / "c", clean=clean, noise=noises, workers=1).corpus
    material = Material(Corpus.load(corpus.folder).split("train"))
    for index in range(5):
        made = make_mixture(0, 0, index, material, MixingSettings(clip_seconds=2.0))
        assert np.isfinite(made.noisy).all()
        assert (made.noisy != made.clean).any()


def test_the_loudest_place_is_the_last_resort(tmp_path: Path) -> None:
    clean, noises = speech_and_noise(tmp_path / "sounds", speakers=0)
    for number in range(3):
        save(
            clean / f"{number}.wav",
            np.concatenate([np.zeros(60 * RATE), speech(0.5, number), np.zeros(RATE)]),
        )
    corpus = prepare(tmp_path / "c", clean=clean, noise=noises, workers=1).corpus
    material = Material(Corpus.load(corpus.folder).split("train"))
    made = make_mixture(0, 0, 0, material, ONE_SECOND)
    assert 59 * RATE < made.plan.speech.start < 60.5 * RATE
    assert not material.speech.read(0, 0, RATE).any()


def test_when_nothing_can_be_heard_it_says_so(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Corpus, "read", lambda self, i, start=0, frames=RATE: np.zeros(frames, np.float32))
    with pytest.raises(UserError, match="is silent now; prepare"):
        make_mixture(0, 0, 0, material, ONE_SECOND)


def test_two_splits_share_no_draws(mixed_corpus: Path) -> None:
    corpus = Corpus.load(mixed_corpus)
    splits = [Material(corpus.split(name)) for name in ("train", "valid", "test")]
    drawn = [[plan_mixture(0, 0, index, part, ONE_SECOND).snr_db for index in range(20)] for part in splits]
    assert len({snr_db for of_split in drawn for snr_db in of_split}) == 60


def test_snr_on_rms_counts_the_pauses(material: Material) -> None:
    settings = MixingSettings(clip_seconds=1.0, snr_on="rms")
    for index in range(5):
        made = make_mixture(3, 0, index, material, settings)
        clean, residue = made.clean.astype(float), made.noisy.astype(float) - made.clean
        assert levels.rms_db(clean) - levels.rms_db(residue) == pytest.approx(made.plan.snr_db, abs=0.02)
        level_db = levels.active_level_db(clean, RATE) - levels.gain_to_db(made.guard)
        assert level_db == pytest.approx(made.plan.level_db, abs=0.01)


def test_streams_are_independent() -> None:
    drawn = {
        philox(1, stream, epoch, index).random() for stream in (1, 2) for epoch in (0, 1) for index in (0, 1)
    }
    assert len(drawn) == 8


def test_what_is_drawn_is_the_same_in_every_version() -> None:
    # Frozen: a change here silently changes every training set.
    assert philox(7, 1, 2, 3).random(2) == pytest.approx([0.7142599062036504, 0.2620641192410619], abs=1e-15)


def test_settings_are_checked() -> None:
    assert mixing_settings(["snr_db_low=-5", "clip_seconds=null"]) == MixingSettings(
        snr_db_low=-5, clip_seconds=None
    )
    for texts, match in (
        (["snr_db_low=30"], "snr_db_low = 30 lies above snr_db_high = 20"),
        (["clip_seconds=0"], "clip_seconds = 0"),
        (["clip_seconds=-1"], "clip_seconds = -1"),
        (["crossfade_ms=51"], "crossfade_ms = 51"),
        (["level_db=.nan"], "level_db = nan"),
        (["snr_low=3"], "did you mean snr_db_low"),
        (["snr_db_low"], "'snr_db_low' is not an override"),
        (["snr_db_low=loud"], "snr_db_low = loud"),
        (["snr_db_low=["], "is not readable"),
    ):
        with pytest.raises(UserError, match=match):
            mixing_settings(texts)


def test_a_split_without_noise_is_refused(mixed_corpus: Path) -> None:
    with pytest.raises(UserError, match="there is no noise in this split"):
        Material(Corpus.load(mixed_corpus).split("train").kind("clean"))


@pytest.mark.parametrize(("on_speech", "on_noise"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (-0.2, 0.3)])
@pytest.mark.parametrize("snr_on", ["active", "rms"])
def test_an_offset_changes_neither_snr_nor_level_nor_speech(
    tmp_path: Path, on_speech: float, on_noise: float, snr_on: str
) -> None:
    for kind, sound, offset in (("clean", speech, on_speech), ("noise", noise, on_noise)):
        for number in range(2):
            save(tmp_path / f"{kind}/train/{number}.wav", sound(3, number) + offset)
    summary = prepare(tmp_path / "corpus", clean=tmp_path / "clean", noise=tmp_path / "noise", workers=1)
    files = 2 * bool(on_speech) + 2 * bool(on_noise)
    assert summary.corpus.facts["files_with_offset"] == files
    assert (f"{files} files, the largest" in summary.text()) == bool(files)
    material = Material(Corpus.load(tmp_path / "corpus").split("train"))
    settings = MixingSettings(snr_db_low=10, snr_db_high=10, snr_on=snr_on, clip_seconds=2, level_spread_db=0)
    for index in range(3):
        mixture = make_mixture(0, 0, index, material, settings)
        hiss, clean = mixture.noisy - mixture.clean, mixture.clean
        level = levels.rms_db if snr_on == "rms" else lambda x: levels.active_level_db(x, RATE)
        assert level(clean) - level(hiss) == pytest.approx(10.0, abs=0.02)
        assert levels.active_level_db(clean, RATE) == pytest.approx(-26.0, abs=0.02)
        assert abs(mixture.clean.mean()) < 1e-3  # the offset itself is in neither
        assert abs(mixture.noisy.mean()) < 2e-3
