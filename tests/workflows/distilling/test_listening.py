"""Folders that hold something else than they are named for."""

from pathlib import Path

import pytest

from sedistill.workflows.distilling.listening import speech_share, warn_of_other_sounds
from sedistill.workflows.distilling.recordings import LISTENED_TO, Recordings, look_through
from tests.data.sounds import noise, save

pytest.importorskip("espeakng_loader", reason="speech is spoken by espeak-ng")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recordings]:
    from sedistill.workflows.demo.speech import SAMPLE_RATE, Utterance, speak

    root = tmp_path_factory.mktemp("sounds")
    text = "The boat sailed slowly along the coast, and nobody said a word."
    for number, spoken in enumerate(speak([Utterance(text, "en-us", 150, 50)] * 3, seed=0)):
        save(root / "speech" / f"{number}.wav", spoken / 2 ** (16 + number), SAMPLE_RATE)
        save(root / "noise" / f"{number}.wav", noise(3.0, seed=number), 16_000)
    return {name: look_through(root / name, name) for name in ("speech", "noise")}


def test_speech_is_told_from_noise(found: dict[str, Recordings]) -> None:
    assert speech_share(found["speech"].sample) == 1
    assert speech_share(found["noise"].sample) == 0
    assert speech_share([]) is None


@pytest.mark.parametrize(
    ("clean", "noise_folder", "said"),
    [
        ("speech", "noise", None),
        ("speech", "speech", "sounds like speech"),
        ("noise", "noise", "hardly sounds like clean speech"),
        ("noise", "speech", "swapped"),
    ],
)
def test_what_is_warned_about(
    found: dict[str, Recordings],
    clean: str,
    noise_folder: str,
    said: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    warn_of_other_sounds({"clean": found[clean], "noise": found[noise_folder]})
    told = capsys.readouterr().out
    assert (not told) if said is None else (said in told and told.count("Warning") == 1)


def test_files_are_taken_from_all_over_a_folder(tmp_path: Path) -> None:
    for number in range(2 * LISTENED_TO + 1):
        save(tmp_path / f"{number:02}.wav", noise(0.1, seed=number), 16_000)
    names = [Path(one.path).name for one in look_through(tmp_path, "noise").sample]
    assert names[0] == "00.wav"
    assert names[-1] > "20.wav"
    assert len(names) <= LISTENED_TO
