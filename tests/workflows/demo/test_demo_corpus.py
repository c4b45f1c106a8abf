"""The embedded corpus: complete, reproducible, split cleanly, nothing silent or clipped."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sedistill.common.errors import UserError
from sedistill.workflows.demo import noises
from sedistill.workflows.demo.demo_corpus import NOISES, VOICES, DemoCorpus, make_demo_corpus
from sedistill.workflows.demo.speech import Utterance, speak

RATE = 16_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> DemoCorpus:
    pytest.importorskip("espeakng_loader")
    return make_demo_corpus(tmp_path_factory.mktemp("demo") / "corpus", seed=0)


@pytest.fixture(scope="module")
def waveforms(corpus: DemoCorpus) -> dict[str, np.ndarray]:
    paths = sorted(corpus.folder.rglob("*.flac"))
    return {str(path.relative_to(corpus.folder)): soundfile.read(path)[0] for path in paths}


def test_it_holds_the_promised_amount(corpus: DemoCorpus, waveforms: dict[str, np.ndarray]) -> None:
    minutes = {
        kind: sum(len(x) for path, x in waveforms.items() if path.startswith(kind)) / RATE / 60
        for kind in ("clean", "noise")
    }
    assert 10 < minutes["clean"] < 15
    assert 6 < minutes["noise"] < 8
    assert corpus.speech_minutes == pytest.approx(minutes["clean"])
    assert corpus.noise_minutes == pytest.approx(minutes["noise"])
    assert (corpus.voices, corpus.noise_classes) == (45, 13)


def test_every_file_is_16_khz_mono_16_bit(corpus: DemoCorpus) -> None:
    kinds = {
        (info.samplerate, info.channels, info.format, info.subtype)
        for info in map(soundfile.info, map(str, corpus.folder.rglob("*.flac")))
    }
    assert kinds == {(RATE, 1, "FLAC", "PCM_16")}


def test_nothing_is_silent_clipped_or_cut_short(waveforms: dict[str, np.ndarray]) -> None:
    for path, samples in waveforms.items():
        level_db = 20 * np.log10(np.sqrt(np.mean(samples**2)))
        assert -40 < level_db < -20, path
        assert np.abs(samples).max() < 0.95, path
        assert len(samples) > RATE, path


def test_no_noise_pauses_for_long(waveforms: dict[str, np.ndarray]) -> None:
    for path, samples in waveforms.items():
        if path.startswith("noise"):
            halves = samples[: len(samples) // (RATE // 2) * (RATE // 2)].reshape(-1, RATE // 2)
            assert np.sqrt(np.mean(halves**2, axis=1)).min() > 1e-4, path


def test_no_two_files_are_the_same(waveforms: dict[str, np.ndarray]) -> None:
    assert len({samples.tobytes() for samples in waveforms.values()}) == len(waveforms)


def test_no_voice_or_timbre_is_heard_in_two_splits() -> None:
    timbres = {split: {voice.split("+")[1] for voice in voices.split()} for split, voices in VOICES.items()}
    assert sum(map(len, timbres.values())) == len(set.union(*timbres.values()))


def test_some_noise_classes_are_heard_in_test_only() -> None:
    assert {"rain", "siren", "birds", "hammer"} == set(NOISES["test"]) - set(NOISES["train"])
    assert set(NOISES["valid"]) < set(NOISES["train"])


def test_the_same_seed_gives_the_same_corpus(corpus: DemoCorpus, tmp_path: Path) -> None:
    again = make_demo_corpus(tmp_path / "again", seed=0)
    assert _digests(again.folder) == _digests(corpus.folder)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.flac"))
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_a_trembling_voice_is_decided_by_the_seed() -> None:
    pytest.importorskip("espeakng_loader")
    utterance = Utterance("One two three.", "sv+victor", 160, 50)
    once, again, other = (speak([utterance], seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert once.shape != other.shape or (once != other).any()


def test_an_unknown_voice_is_one_sentence() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(UserError, match=r"does not work here \(RuntimeError: no voice xx\+m1\)"):
        speak([Utterance("Hello.", "xx+m1", 160, 50)], 0)


@pytest.mark.parametrize("kind", noises.KINDS)
def test_a_noise_is_reproducible_and_levelled(kind: str) -> None:
    first, second, other = (
        noises.noise(kind, np.random.default_rng(seed), 2 * RATE, RATE) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert first.dtype == np.float32
    assert np.abs(first).max() <= noises.PEAK + 1e-6
    at_level = np.sqrt(np.mean(first**2)) == pytest.approx(noises.LEVEL_RMS, rel=1e-3)
    assert at_level or np.abs(first).max() == pytest.approx(noises.PEAK, rel=1e-3)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", 1.0), ("brown", 2.0)])
def test_a_color_falls_by_its_slope(kind: str, slope: float) -> None:
    samples = noises.noise(kind, np.random.default_rng(0), 32 * RATE, RATE)
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    octaves = [power[(hz >= low) & (hz < 2 * low)].mean() for low in (100, 200, 400, 800, 1600, 3200)]
    fall_per_octave = -np.polyfit(range(6), np.log2(octaves), 1)[0]
    assert fall_per_octave == pytest.approx(slope, abs=0.05)


def test_levelled_by_hand() -> None:
    np.testing.assert_allclose(noises.levelled(np.array([3.0, -1.0]), rms=0.5), [0.5, -0.5])
    np.testing.assert_allclose(noises.levelled(np.array([3.0, -1.0]), rms=1.0), [0.9, -0.9])


def test_a_missing_synthesizer_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[demo\]'"):
        make_demo_corpus(tmp_path / "corpus")
    assert not list(tmp_path.iterdir())


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="exists already"):
        make_demo_corpus(tmp_path)
