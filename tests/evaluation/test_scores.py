"""Means with n and spread, improvements, SNR ranges, and the files they are kept in."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.evaluation.score_files import score_cell, summary_text, write_scores
from sedistill.evaluation.scores import (
    NOISY,
    ClipScore,
    SetScores,
    Statistic,
    load_scores,
)

NAN = math.nan


def row(
    model: str, clip: str, snr_db: float, si_sdr: float, reason: str = "", noise_class: str = "babble"
) -> ClipScore:
    reasons = {"si_sdr": reason} if reason else {}
    return ClipScore(model, clip, 2.0, snr_db, noise_class, {"si_sdr": si_sdr}, reasons)


@pytest.fixture
def scores() -> SetScores:
    """Four clips at 2, 4, 12 and 15 dB; the model has no score on the last."""
    return SetScores(
        "test",
        ["si_sdr"],
        [
            row(NOISY, "a", 2.0, 2.0),
            row(NOISY, "b", 4.0, 4.0),
            row(NOISY, "c", 12.0, 12.0),
            row(NOISY, "d", 14.9999, 15.0),
            row("student", "a", 2.0, 5.0),
            row("student", "b", 4.0, 9.0),
            row("student", "c", 12.0, 13.0),
            row("student", "d", 14.9999, NAN, "the estimate is silent"),
        ],
        {"metrics": {"si_sdr": "SI-SDR"}, "level_correction": "on", "models": {}},
    )


def test_a_mean_says_over_how_many_clips() -> None:
    statistic = Statistic.over([1.0, 3.0, NAN])
    assert (statistic.mean, statistic.n, statistic.of) == (2.0, 2, 3)
    assert statistic.sd == pytest.approx(math.sqrt(2.0))
    nothing = Statistic.over([NAN])
    assert math.isnan(nothing.mean)
    assert (nothing.n, nothing.of) == (0, 1)


def test_some_metrics_alone_have_the_reasons_of_those_alone(scores: SetScores) -> None:
    clips = [replace(one, values={**one.values, "stoi": 0.9}) for one in scores.clips]
    clips[-1].reasons["stoi"] = "too short"
    some = SetScores("test", ["si_sdr", "stoi"], clips, scores.facts).only(["stoi"])
    assert some.metrics == ["stoi"]
    assert [(one.values, one.reasons) for one in some.clips[-2:]] == [
        ({"stoi": 0.9}, {}), ({"stoi": 0.9}, {"stoi": "too short"}),
    ]  # fmt: skip


@given(st.lists(st.floats(-100, 100), min_size=2), st.integers(0, 5))
def test_undefined_clips_change_n_and_nothing_else(values: list[float], undefined: int) -> None:
    all_defined = Statistic.over(values)
    with_holes = Statistic.over([*values, *[NAN] * undefined])
    assert (with_holes.mean, with_holes.sd, with_holes.n) == (all_defined.mean, all_defined.sd, len(values))
    assert with_holes.of == len(values) + undefined


def test_improvement_is_paired_with_the_same_noisy_clip(scores: SetScores) -> None:
    gain = scores.improvement_statistic("student", "si_sdr")
    assert (gain.mean, gain.n, gain.of) == (3.0, 3, 4)  # 3, 5 and 1 dB; clip d takes no part
    assert scores.mean("student", "si_sdr") == 9.0
    assert scores.improvement_statistic(NOISY, "si_sdr").mean == 0.0


def test_ranges_of_snr(scores: SetScores) -> None:
    assert scores.snr_bins == ["0 to 5 dB", "10 to 15 dB", "15 to 20 dB"]
    assert scores.statistic("student", "si_sdr", "0 to 5 dB").mean == 7.0
    assert scores.statistic("student", "si_sdr", "15 to 20 dB").of == 1  # 14.9999 was mixed at 15
    total = sum(scores.statistic("student", "si_sdr", snr).of for snr in scores.snr_bins)
    assert total == scores.statistic("student", "si_sdr").of


def test_wide_ranges_of_snr_get_wide_bins_and_unknown_ones_a_bin_of_their_own() -> None:
    clips = [row(NOISY, str(snr), snr, 0.0) for snr in (-20.0, 25.0, math.inf, NAN)]
    assert SetScores("x", ["si_sdr"], clips, {}).snr_bins == ["-20 to -10 dB", "20 to 30 dB", "SNR unknown"]


def test_a_set_mixed_at_few_snrs_is_shown_by_each_of_them() -> None:
    snrs = [-7.5, -2.5001, -0.001, 7.5]
    clips = [row(NOISY, f"{snr} {n}", snr, snr) for snr in snrs for n in range(2)]
    scores = SetScores("kdrl", ["si_sdr"], clips, {})
    assert scores.snr_bins == ["-7.5 dB", "-2.5 dB", "0 dB", "7.5 dB"]
    assert scores.statistic(NOISY, "si_sdr", "-7.5 dB").mean == -7.5
    measured = [row(NOISY, str(snr), snr, snr) for snr in snrs]  # each its own: ranges
    ranges = ["-10 to -5 dB", "-5 to 0 dB", "0 to 5 dB", "5 to 10 dB"]
    assert SetScores("x", ["si_sdr"], measured, {}).snr_bins == ranges
    assert SetScores("x", ["si_sdr"], [row(NOISY, "a", NAN, 1.0)], {}).snr_bins == ["SNR unknown"]


@pytest.fixture
def by_noise() -> SetScores:
    """Two clips an SNR and noise class, one without a class; the student gains 1 dB in babble, 3 in white."""
    gains = {"white": 3.0, "babble": 1.0}
    clips = [(f"{noise} {snr} {n}", float(snr), noise) for noise in gains for snr in (0, 5) for n in range(2)]
    noisy = [row(NOISY, clip, snr, snr, noise_class=noise) for clip, snr, noise in clips]
    student = [row("student", clip, snr, snr + gains[noise], noise_class=noise) for clip, snr, noise in clips]
    strays = [row(model, "stray", 5.0, 5.0, noise_class="") for model in (NOISY, "student")]
    return SetScores("test", ["si_sdr"], [*noisy, strays[0], *student, strays[1]], {})


def test_noise_classes_alone_and_crossed_with_snr(by_noise: SetScores) -> None:
    assert by_noise.noise_classes == ["babble", "white", "noise unknown"]
    white = by_noise.statistic("student", "si_sdr", noise_class="white")
    assert (white.mean, white.of) == (5.5, 4)
    assert by_noise.improvement_statistic("student", "si_sdr", noise_class="white").mean == 3.0
    crossed = by_noise.statistic("student", "si_sdr", "5 dB", "babble")
    assert (crossed.mean, crossed.of) == (6.0, 2)
    sizes = [by_noise.statistic(NOISY, "si_sdr", noise_class=name).of for name in by_noise.noise_classes]
    assert sum(sizes) == by_noise.statistic(NOISY, "si_sdr").of == 9


def test_the_summary_files_have_the_noise_classes(by_noise: SetScores, tmp_path: Path) -> None:
    write_scores(tmp_path, by_noise)
    text = (tmp_path / "summary.md").read_text()
    assert "## By noise class" in text
    assert "| white (n = 4) | 2.50 | 5.50 |" in text
    with (tmp_path / "summary.csv").open() as file:
        lines = {(line["model"], line["snr"], line["noise_class"]): line for line in csv.DictReader(file)}
    assert (lines["student", "all", "white"]["mean"], lines["student", "all", "white"]["n"]) == ("5.5", "4")
    assert lines["student", "5 dB", "babble"]["improvement"] == "1.0"
    assert ("student", "0 dB", "noise unknown") not in lines  # no such clip
    assert lines["student", "all", "all"]["of"] == "9"


def test_without_noise_classes_there_is_no_such_table(scores: SetScores) -> None:
    for clip in scores.clips:
        clip.noise_class = ""
    assert scores.noise_classes == []
    assert "noise class" not in summary_text(scores)


def test_cells_name_missing_clips(scores: SetScores) -> None:
    assert score_cell(scores, "student", "si_sdr") == "9.00 [n = 3 of 4] ± 4.00 (+3.00)"
    assert score_cell(scores, NOISY, "si_sdr") == "8.25 ± 6.24"
    assert score_cell(scores, "student", "si_sdr", spread=False) == "9.00 [n = 3 of 4] (+3.00)"


def test_the_summary_says_why_a_clip_is_missing(scores: SetScores) -> None:
    text = summary_text(scores)
    assert "n = 3 of 4" in text
    assert "SI-SDR of student on d: the estimate is silent" in text
    assert "| student | 7.00 | 13.00 | - [n = 0 of 1] |" in text


def test_what_is_written_is_read_back(scores: SetScores, tmp_path: Path) -> None:
    place = tmp_path / "test"
    place.mkdir()
    write_scores(place, scores)
    for folder in (tmp_path, place):
        read = load_scores(folder)["test"]
        assert repr(read) == repr(scores)  # NaN included
    with (place / "summary.csv").open() as file:
        lines = list(csv.DictReader(file))
    overall = next(line for line in lines if line["model"] == "student" and line["snr"] == "all")
    assert (overall["n"], overall["of"], overall["mean"], overall["improvement"]) == ("3", "4", "9.0", "3.0")


def test_a_folder_that_is_no_evaluation_is_named(tmp_path: Path, scores: SetScores) -> None:
    with pytest.raises(UserError, match="holds no evaluation"):
        load_scores(tmp_path)
    write_scores(tmp_path, scores)
    (tmp_path / "clips.csv").unlink()
    with pytest.raises(UserError, match=r"clips\.csv does not exist; evaluate again"):
        load_scores(tmp_path)


@pytest.mark.parametrize("clip", ["=1+1", "-a/b", "a,b", 'a"b', "a\nb", "'=x", "@x", "ü", "a | b: c"])
def test_any_clip_name_and_reason_come_back(clip: str, tmp_path: Path) -> None:
    rows = [row(NOISY, clip, 2.0, NAN, "+it: failed")]
    write_scores(tmp_path, SetScores("test", ["si_sdr"], rows, {"metrics": {"si_sdr": "SI-SDR"}}))
    (read,) = load_scores(tmp_path)["test"].clips
    assert (read.clip, read.reasons) == (clip, {"si_sdr": "+it: failed"})


def test_a_clip_twice_is_refused_by_name_however_it_came_there(scores: SetScores, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the scores of student on test hold clip b twice"):
        SetScores("test", ["si_sdr"], [*scores.clips, scores.clips[5]], scores.facts)
    write_scores(tmp_path, scores)
    table = tmp_path / "clips.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[2] + "\n")
    with pytest.raises(UserError, match="hold clip b twice; evaluate again"):
        load_scores(tmp_path)


def test_two_sets_of_one_name_are_refused(scores: SetScores, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        write_scores(tmp_path / place, scores)
    with pytest.raises(UserError, match="holds two sets of the name test; give one another `name`"):
        load_scores(tmp_path)


def test_recordings_come_back_and_may_be_missing(scores: SetScores, tmp_path: Path) -> None:
    scores.clips[0].utterance, scores.clips[0].noise_recording = "a, b.wav", "n1.wav;n2.wav"
    write_scores(tmp_path, scores)
    loaded = load_scores(tmp_path)["test"].clips
    assert (loaded[0].utterance, loaded[0].noise_recording) == ("a, b.wav", "n1.wav;n2.wav")
    assert (loaded[1].utterance, loaded[1].noise_recording) == ("", "")
    with (tmp_path / "clips.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if name not in ("utterance", "noise_recording")}
                for row in csv.DictReader(file)]  # fmt: skip
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    facts = (tmp_path / "evaluation.yaml").read_text().splitlines()  # as from before tables had a hash
    kept = (line for line in facts if not line.startswith("clips_sha256"))
    (tmp_path / "evaluation.yaml").write_text("\n".join(kept))
    assert [row.utterance for row in load_scores(tmp_path)["test"].clips] == [""] * 8


def test_a_score_changed_by_hand_is_noticed(scores: SetScores, tmp_path: Path) -> None:
    write_scores(tmp_path, scores)
    table = tmp_path / "clips.csv"
    assert "9.0" in table.read_text()
    table.write_text(table.read_text().replace("9.0", "9.5", 1))
    with pytest.raises(UserError, match=r"clips\.csv was changed since it was written; evaluate again"):
        load_scores(tmp_path)
