"""Rooms, narrow bands and codecs: nothing is shifted, and each does what it says, by key."""

import numpy as np
import pytest

from sedistill.audio import levels
from sedistill.data.degradations import Room, coded, convolved, low_passed, mu_law
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings, plan_mixture
from sedistill.data.rendering import make_mixture

RATE = 16_000
KEY = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def material(mixed_corpus: "object") -> Material:
    from sedistill.data.corpus import Corpus

    return Material(Corpus.load(mixed_corpus).split("train"))  # type: ignore[arg-type]


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def test_convolution_is_that_of_numpy() -> None:
    samples, response = noise(300), np.random.default_rng(1).standard_normal(70)
    np.testing.assert_allclose(convolved(samples, response), np.convolve(samples, response)[:300], atol=1e-6)


def test_a_room_begins_with_the_direct_sound_and_decays_by_60_db_in_t60() -> None:
    response = Room(0.5, 6.0, 50.0, KEY).response(RATE)
    assert response[0] == 1
    assert not response[1 : int(0.0025 * RATE)].any()
    assert 10 * np.log10(np.sum(response[1:] ** 2)) == pytest.approx(-6.0, abs=0.01)
    early, late = (np.sum(response[a : a + 800] ** 2) for a in (800, 4800))  # 250 ms apart
    assert 10 * np.log10(early / late) == pytest.approx(30, abs=2)
    np.testing.assert_array_equal(response, Room(0.5, 6.0, 50.0, KEY).response(RATE))


def test_the_target_keeps_the_early_part_alone() -> None:
    room, click = Room(0.6, 0.0, 50.0, KEY), np.zeros(RATE, np.float32)
    click[100] = 1
    heard, target = room.heard_in(click, RATE)
    assert heard[100] == target[100] == pytest.approx(1)
    assert not np.abs(heard[:100]).max() > 1e-6
    np.testing.assert_allclose(target[100:900], heard[100:900], atol=1e-6)  # 50 ms
    assert np.abs(target[100 + 881 :]).max() < 1e-6  # 55 ms
    assert np.abs(heard[100 + 881 :]).max() > 1e-3


def test_low_pass_leaves_what_is_below_and_nothing_above() -> None:
    time = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (1000, 5000))
    np.testing.assert_allclose(low_passed(low + high, 4000, RATE), low, atol=1e-4)


def test_mu_law_by_hand() -> None:
    x = np.array([0, 1, -1, 0.01, 2], np.float32)
    out = mu_law(x)
    np.testing.assert_allclose(out[[0, 1, 2, 4]], [0, 1, -1, 1], atol=1e-6)
    assert out[3] == pytest.approx(0.01, rel=0.03)  # steps grow with the level


@pytest.mark.parametrize("codec", ["g711", "vorbis"])
@pytest.mark.parametrize("samples", [16_000, 12_345])
def test_codecs_keep_place_and_length(codec: str, samples: int) -> None:
    sound = low_passed(noise(samples), 3_000, RATE)
    out = coded(sound, codec, RATE)  # type: ignore[arg-type]
    assert out.shape == sound.shape
    lags = range(-3, 4)
    inner = slice(1000, samples - 1000)
    fit = [float(np.dot(np.roll(out, -lag)[inner], sound[inner])) for lag in lags]
    assert lags[int(np.argmax(fit))] == 0
    gain = np.dot(out[inner], sound[inner]) / np.dot(sound[inner], sound[inner])
    assert gain == pytest.approx(1, abs=0.1)


ALL = {"reverb_share": 1.0, "bandlimit_share": 1.0, "codec_share": 1.0, "clip_seconds": 1.0}


def test_shares_of_nothing_change_no_plan_and_others_change_nothing_else(material: Material) -> None:
    for index in range(20):
        plain = plan_mixture(0, 0, index, material, MixingSettings(clip_seconds=1.0))
        full = plan_mixture(0, 0, index, material, MixingSettings(**ALL))
        assert (plain.room, plain.cutoff_hz, plain.codec) == (None, None, None)
        assert full.room is not None
        assert 3_400 <= (full.cutoff_hz or 0) <= 7_000
        assert full.codec in ("g711", "vorbis")
        assert (plain.speech, plain.noise, plain.snr_db) == (full.speech, full.noise, full.snr_db)


def test_shares_are_kept(material: Material) -> None:
    settings = MixingSettings(reverb_share=0.3, noise_only_share=0.2, clean_only_share=0.1)
    plans = [plan_mixture(0, 0, index, material, settings) for index in range(1000)]
    assert np.mean([plan.room is not None for plan in plans]) == pytest.approx(0.3, abs=0.05)
    assert np.mean([plan.heard == "noise" for plan in plans]) == pytest.approx(0.2, abs=0.05)
    assert np.mean([plan.heard == "speech" for plan in plans]) == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("share", ["reverb_share", "bandlimit_share", "codec_share"])
def test_no_degraded_mixture_goes_beyond_full_scale(share: str, material: Material) -> None:
    loud = MixingSettings(snr_db_low=-10, level_db=0, clip_seconds=1, **{share: 1})
    limit = 1.0 if share == "codec_share" else levels.PEAK_LIMIT + 1e-6
    for index in range(40):
        mixture = make_mixture(0, 0, index, material, loud)
        assert max(map(levels.peak, (mixture.noisy, mixture.clean))) <= limit
        assert mixture.guard < 1


def test_mixtures_of_noise_or_speech_alone(material: Material) -> None:
    both = make_mixture(0, 0, 3, material, MixingSettings(clip_seconds=1.0))
    noise_alone = make_mixture(0, 0, 3, material, MixingSettings(clip_seconds=1.0, noise_only_share=1))
    speech_alone = make_mixture(0, 0, 3, material, MixingSettings(clip_seconds=1.0, clean_only_share=1))
    assert not noise_alone.clean.any()
    np.testing.assert_allclose(noise_alone.noisy, both.noisy - both.clean, atol=1e-6)
    np.testing.assert_array_equal(speech_alone.noisy, both.clean)
    np.testing.assert_array_equal(speech_alone.clean, both.clean)


def test_snr_is_of_the_speech_as_it_is_heard(material: Material) -> None:
    settings = MixingSettings(clip_seconds=2.0, reverb_share=1, snr_db_low=5, snr_db_high=5)
    for index in range(5):
        mixture = make_mixture(0, 0, index, material, settings)
        alone = make_mixture(0, 0, index, material, settings.model_copy(update={"clean_only_share": 1.0}))
        heard, rest = alone.noisy, mixture.noisy - alone.noisy
        assert levels.snr_db(heard, rest, RATE) == pytest.approx(5, abs=0.1)
        assert not np.array_equal(heard, alone.clean)  # late echoes are to go
