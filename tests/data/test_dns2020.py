"""The DNS 2020 challenge on a tree of its shape: both test sets, counts, and what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.data.expected_counts import PUBLISHED
from sedistill.data.preparation import prepare

from .sounds import noise, save, speech


def challenge(root: Path, with_reverb: str = "with_reverb") -> Path:
    """Three readers, three noises, two test pairs a set, as the challenge names them."""
    for reader in range(3):
        save(root / f"clean/book_0_chp_1_reader_0{reader}_{reader}.wav", speech(1, reader))
        save(root / f"noise/door_{reader}.wav", noise(1, reader))
    for number, name in enumerate(("no_reverb", with_reverb)):
        for pair in (7, 70):
            voice = speech(1, 100 * (number + 1) + pair)
            folder = root / "test_set/synthetic" / name
            save(folder / f"clean/clean_fileid_{pair}.wav", voice)
            save(folder / f"noisy/clnsp1_train_1_snr7_tl-21_fileid_{pair}.wav", voice + noise(1, pair))
    return root


@pytest.fixture(autouse=True)
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, own in {
        "dns2020-clean": {"hours": 3 / 3600, "speakers": 3},
        "dns2020-noise": {"files": 3},
        "dns2020-no-reverb": {"files": 2, "hours": 2 / 3600},
        "dns2020-reverb": {"files": 2, "hours": 2 / 3600},
    }.items():
        monkeypatch.setitem(PUBLISHED, key, replace(PUBLISHED[key], **own))  # type: ignore[arg-type]


@pytest.mark.parametrize(("below", "with_reverb"), [("datasets", "with_reverb"), ("", "reverb")])
def test_speech_and_noise_train_and_both_test_sets_test(tmp_path: Path, below: str, with_reverb: str) -> None:
    challenge(tmp_path / "dns" / below, with_reverb)
    summary = prepare(tmp_path / "corpus", tmp_path / "dns", workers=1)
    pairs = {clip.pair: clip.split for clip in summary.corpus if clip.pair}
    assert pairs == {
        "no_reverb/fileid_7": "test",
        "no_reverb/fileid_70": "test",
        f"{with_reverb}/fileid_7": "test_with_reverb",
        f"{with_reverb}/fileid_70": "test_with_reverb",
    }
    assert {clip.kind for clip in summary.corpus.split("train")} == {"clean", "noise"}
    assert summary.published == [
        "DNS2020 clean speech: 3 files, 0.00 h, 3 speakers (published: about 3)",
        "DNS2020 noise: 3 files (published: about 3), 0.00 h",
        "DNS2020 synthetic test set, no reverb: 2 of 2 pairs, 0.00 h",
        "DNS2020 synthetic test set, with reverb: 2 of 2 pairs, 0.00 h",
    ]
    assert summary.warnings == []


def test_published_test_sets_have_150_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert PUBLISHED["dns2020-no-reverb"].files == PUBLISHED["dns2020-reverb"].files == 150


def test_missing_partners_and_sets_are_named(tmp_path: Path) -> None:
    root = challenge(tmp_path / "dns")
    (root / "test_set/synthetic/no_reverb/clean/clean_fileid_70.wav").unlink()
    for path in (root / "test_set/synthetic/with_reverb").rglob("*.wav"):
        path.unlink()
    for folder in ("noisy", "clean", ""):
        (root / "test_set/synthetic/with_reverb" / folder).rmdir()
    for number in (0, 1):
        (root / f"noise/door_{number}.wav").write_text("words\n" * 100)
    summary = prepare(tmp_path / "corpus", root, workers=1)
    assert any("there is no test set" in warning and "with_reverb" in warning for warning in summary.warnings)
    text = summary.text()
    assert "fileid_70.wav is missing a clean partner" in text
    assert "1 of about 3 files, 0.00 h: door_0.wav: not audio; door_1.wav: not audio" in text


def test_half_a_test_set_is_refused(tmp_path: Path) -> None:
    root = challenge(tmp_path / "dns")
    folder = root / "test_set/synthetic/no_reverb/clean"
    folder.rename(folder.with_name("clean_y"))
    with pytest.raises(UserError, match="clean does not exist; a DNS2020 test set has noisy/ and clean/"):
        prepare(tmp_path / "corpus", root, workers=1)
