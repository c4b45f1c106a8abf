"""Who is whose partner: one rule, by names, wherever pairs are read."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.partners import NO_PARTNER, find_partners
from sedistill.data.preparation import prepare

from .sounds import noise, save, speech


def matched(noisy: list[str], clean: list[str]) -> dict[str, str]:
    return {pair.noisy: pair.clean for pair in find_partners(noisy, clean).pairs}


def test_names_as_people_have_them() -> None:
    assert matched(["a/1.wav", "b/1.wav"], ["a/1.flac", "b/1.flac"]) == {
        "a/1.wav": "a/1.flac",
        "b/1.wav": "b/1.flac",
    }
    decomposed = unicodedata.normalize("NFD", "é.wav")
    assert matched([decomposed], ["é.wav"]) == {decomposed: "é.wav"}
    dns = ["clnsp1_train_1_snr7_tl-21_fileid_7.wav", "clnsp1_train_2_snr7_tl-21_fileid_70.wav"]
    assert matched(dns, ["clean_fileid_70.wav", "clean_fileid_7.wav"]) == {
        dns[0]: "clean_fileid_7.wav",
        dns[1]: "clean_fileid_70.wav",
    }
    assert matched(["P226_001.WAV"], ["p226_001.wav"]) == {"P226_001.WAV": "p226_001.wav"}
    assert matched(["more/p226_001.wav"], ["p226_001.wav"]) == {"more/p226_001.wav": "p226_001.wav"}
    assert matched(["a/x_fileid_1.wav", "b/x_fileid_1.wav"], ["a/c_fileid_1.wav", "b/c_fileid_1.wav"]) == {
        "a/x_fileid_1.wav": "a/c_fileid_1.wav",
        "b/x_fileid_1.wav": "b/c_fileid_1.wav",
    }


@pytest.mark.parametrize(
    ("noisy", "clean", "reason"),
    [
        (["a.wav", "a.flac"], ["a.wav"], "same name up to its suffix"),
        (["A.wav", "a.wav"], ["á.wav", "AA.wav"], NO_PARTNER),
        (["A.wav", "a.wav"], ["a.WAV.wav"], NO_PARTNER),
        (["1/x.wav", "2/x.wav"], ["3/x.wav"], "same name up to its folder"),
        (["x_fileid_1.wav", "y_fileid_1.wav"], ["clean_fileid_1.wav"], "same name up to its fileid_ number"),
        # A sentence of the same number, but of another speaker, is no partner.
        (["p1/001.wav"], ["p2/001.wav", "p3/001.wav"], "same name up to its folder"),
    ],
)
def test_where_there_is_doubt_nobody_is_a_partner(noisy: list[str], clean: list[str], reason: str) -> None:
    found = find_partners(noisy, clean)
    assert found.pairs == []
    reasons = [why for _, why in [*found.noisy_left, *found.clean_left]]
    assert len(reasons) == len(noisy) + len(clean)
    assert any(reason in why for why in reasons)


def test_a_missing_partner_is_not_taken_from_another_folder() -> None:
    found = find_partners(
        ["p1/001.wav", "p1/002.wav", "p2/001.wav"], ["p1/002.wav", "p2/001.wav", "p2/003.wav"]
    )
    assert {pair.noisy for pair in found.pairs} == {"p1/002.wav", "p2/001.wav"}
    assert found.noisy_left == [("p1/001.wav", NO_PARTNER)]
    assert found.clean_left == [("p2/003.wav", NO_PARTNER)]


_names = st.lists(
    st.from_regex(r"([ab]/)?[aAé]{1,2}(_fileid_[12])?\.(wav|flac)", fullmatch=True), max_size=8, unique=True
)


@given(noisy=_names, clean=_names)
def test_every_file_is_paired_once_or_left_over_with_a_reason(noisy: list[str], clean: list[str]) -> None:
    found = find_partners(noisy, clean)
    paired = [pair.noisy for pair in found.pairs], [pair.clean for pair in found.pairs]
    for files, with_partner, left in (
        (noisy, paired[0], found.noisy_left),
        (clean, paired[1], found.clean_left),
    ):
        assert sorted([*with_partner, *(file for file, _ in left)]) == sorted(files)
        assert all(reason for _, reason in left)
    names = [pair.name for pair in found.pairs]
    assert len(set(names)) == len(names)
    swapped = find_partners(clean, noisy)  # neither side is preferred
    assert {(p.noisy, p.clean) for p in found.pairs} == {(p.clean, p.noisy) for p in swapped.pairs}


def test_evaluated_sets_and_prepared_pairs_follow_the_same_rule(tmp_path: Path) -> None:
    names = {
        "dns": ("clnsp{0}_train_{0}_1_snr5_tl-20_fileid_{0}.wav", "clean_fileid_{0}.wav"),
        "suffix": ("{0}.wav", "{0}.flac"),
        "unicode": (unicodedata.normalize("NFD", "é{0}.wav"), "é{0}.wav"),
        "folders": ("p232/{0}.wav", "p232/{0}.wav"),
    }
    for place, (noisy, clean) in names.items():
        for number in range(3):
            voice = speech(1 + number / 8, number)
            save(tmp_path / place / "noisy" / noisy.format(number), voice + noise(1 + number / 8, number))
            save(tmp_path / place / "clean" / clean.format(number), voice)
        fixed = FixedSet(tmp_path / place)
        assert sorted(fixed.lengths.tolist()) == [16_000, 18_000, 20_000]
        for index in range(3):
            noisy_samples, clean_samples = fixed[index]
            assert np.std(noisy_samples - clean_samples) == pytest.approx(0.05, rel=0.05)
        assert len({fixed.clip_id(index) for index in range(3)}) == 3
        corpus = prepare(
            tmp_path / f"{place}-corpus",
            clean=tmp_path / place / "clean",
            noisy=tmp_path / place / "noisy",
            workers=1,
        ).corpus
        assert len({clip.pair for clip in corpus}) == 3


def test_a_set_with_a_doubtful_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    for suffix in ("wav", "flac"):
        save(tmp_path / f"noisy/1.{suffix}", speech(1))
    save(tmp_path / "clean/1.wav", speech(1))
    with pytest.raises(
        UserError, match=r"1\.flac \(and 1 more\) has no sure partner: another file here .*1\.wav"
    ):
        FixedSet(tmp_path)
