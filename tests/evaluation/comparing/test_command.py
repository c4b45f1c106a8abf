"""The command: what it writes, what it says of few seeds, what it refuses."""

import csv
import math
from pathlib import Path

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.evaluation.comparing import compare
from sedistill.evaluation.comparing.report_text import interval_text, p_text
from sedistill.evaluation.comparing.significance import paired_test
from tests.evaluation.evaluations import CLIPS, scores_around, write_evaluation

METRICS = ("si_sdr", "stoi")


def evaluations(tmp_path: Path, seeds: int) -> list[Path]:
    """One a seed, each with the same teacher, as the small comparison's recipes make them."""
    places = []
    for seed in range(seeds):
        models = {
            f"alone/seed-{seed}": scores_around(5.0, seed),
            f"kd/seed-{seed}": scores_around(6.0, 10 + seed),
            f"l2/seed-{seed}": scores_around(5.1, 20 + seed),
            "teacher/seed-0": scores_around(8.0, 30),
        }
        place = write_evaluation(tmp_path / f"seed-{seed}", models, metrics=METRICS, sets=("test", "pairs"))
        places.append(place)
    return places


def rows_in(output: Path) -> list[dict[str, str]]:
    with (output / "comparison.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_three_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    comparison = compare(evaluations(tmp_path, 3), output, show=True)
    assert sorted(path.name for path in output.iterdir()) == [
        "by-snr.csv", "comparison.csv", "comparison.html", "comparison.md", "comparison.yaml", "figures",
    ]  # fmt: skip
    figures = sorted(path.name for path in (output / "figures").iterdir())
    assert figures == ["pairs-si_sdr.svg", "pairs-stoi.svg", "test-si_sdr.svg", "test-stoi.svg"]

    rows = rows_in(output)
    assert len(rows) == 2 * 2 * 4  # noisy and the teacher beside two methods
    kd = next(row for row in rows if (row["set"], row["metric"], row["method"]) == ("test", "si_sdr", "kd"))
    expected = next(row for row in comparison.of("test", "si_sdr") if row.method == "kd")
    assert float(kd["difference"]) == expected.over_clips.mean
    assert float(kd["clips_p_t_holm"]) == expected.corrected.clips_t
    assert float(kd["seeds_p_t"]) == expected.over_seeds.p_t
    assert expected.gap_closed is not None
    assert float(kd["gap_closed"]) == expected.gap_closed.value
    assert (kd["seeds"], kd["clips"], kd["holm_over_at_most"], kd["unit"]) == ("0 1 2", "8", "4", "dB")
    assert [float(value) for value in kd["difference_by_seed"].split()] == list(expected.by_seed)
    teacher = next(row for row in rows if row["method"] == "teacher")
    assert teacher["clips_p_t_holm"] == teacher["holm_over_at_most"] == teacher["gap_closed"] == ""

    text = (output / "comparison.md").read_text(encoding="utf-8")
    assert (
        "Holm's correction is over at most 4 hypotheses for each metric and test: 2 methods on 2 sets" in text
    )
    assert "3 seeds: the Wilcoxon test over seeds cannot fall below p = 0.25" in text
    assert "the interval reaches 4.3 standard errors" in text
    assert "![SI-SDR, dB on test](figures/test-si_sdr.svg)" in text
    facts = yaml.safe_load((output / "comparison.yaml").read_text(encoding="utf-8"))
    assert facts["seeds"] == {"kd": [0, 1, 2], "l2": [0, 1, 2]}
    printed = capsys.readouterr().out
    assert "Differences from alone on test" in printed
    assert "kd" in printed


def test_one_seed_is_told_what_cannot_be_concluded(tmp_path: Path) -> None:
    compare(evaluations(tmp_path, 1), tmp_path / "out", metrics=["stoi"])
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "One seed: whether a difference would come back with another seed cannot be concluded." in text
    assert "Over seeds:" not in text
    assert "One seed: whether" in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    columns = [name for name in rows_in(tmp_path / "out")[0] if name.startswith("seeds_")]
    assert len(columns) == 8
    assert all(row[name] == "" for row in rows_in(tmp_path / "out") for name in columns)


def test_unequal_seeds_are_named(tmp_path: Path) -> None:
    places = evaluations(tmp_path, 2)
    extra = {"late/seed-1": scores_around(6.0, 5), "stranger/seed-7": scores_around(6.0, 6)}
    places.append(write_evaluation(tmp_path / "x", extra, metrics=METRICS, sets=("test", "pairs")))
    compare(places, tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "No seed in common with alone (stranger)" in text
    assert "One seed (late)" in text
    assert "2 seeds (kd, l2)" in text
    assert "Not all methods have the same seeds" in text


def test_dropped_clips_are_counted(tmp_path: Path) -> None:
    values = scores_around(6.0, 1)
    values[3] = math.nan
    models = {"alone/seed-0": scores_around(5.0, 0), "kd/seed-0": values}
    compare([write_evaluation(tmp_path / "a", models)], tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "fewest: 7 of 8, SI-SDR of kd on test" in text
    assert "| kd | 7 of 8 |" in text
    assert {row["method"]: row["clips"] for row in rows_in(tmp_path / "out")} == {"noisy": "8", "kd": "7"}


RECORDINGS = [(f"u{i % 4}", "n1" if i < 4 else "n2;n3") for i in range(8)]


def test_clips_that_share_recordings_are_not_counted_as_independent(tmp_path: Path) -> None:
    models = {f"{name}/seed-{seed}": scores_around(mean, seed) for name, mean in (("alone", 5), ("kd", 6))
              for seed in (0, 1)}  # fmt: skip
    place = write_evaluation(tmp_path / "a", models, recordings=RECORDINGS)
    comparison = compare([place], tmp_path / "out", show=True)
    kd = next(row for row in rows_in(tmp_path / "out") if row["method"] == "kd")
    counts = {name: kd[name] for name in ("clips", "utterances", "noise_recordings", "clips_p_wilcoxon")}
    assert counts == {"clips": "8", "utterances": "4", "noise_recordings": "3", "clips_p_wilcoxon": ""}
    assert kd["clips_degrees_of_freedom"] == "2"
    (row,) = (row for row in comparison.differences if row.method == "kd")
    assert float(kd["clips_high"]) == row.over_clips.high
    for text in (tmp_path / "out" / name for name in ("comparison.md", "comparison.html")):
        told = text.read_text(encoding="utf-8")
        assert "8 clips of 4 utterances and 3 noise recordings" in told
        assert "with 2 degrees of freedom: intervals reach 4.3 standard errors" in told
    facts = yaml.safe_load((tmp_path / "out" / "comparison.yaml").read_text(encoding="utf-8"))
    assert facts["sets"] == {"test": {"clips": 8, "utterances": 4, "noise_recordings": 3}}


def test_one_recording_of_a_kind_and_unknown_ones_are_told(tmp_path: Path) -> None:
    models = {"alone/seed-0": scores_around(5.0, 0), "kd/seed-0": scores_around(6.0, 1)}
    told = []
    for name, recordings in (
        ("apart", [(f"u{i}", f"n{i}") for i in range(8)]),
        ("unknown", None),
        ("one noise", [(f"u{i}", "n") for i in range(8)]),
        ("all one", [("u", "n")] * 8),
    ):
        place = write_evaluation(tmp_path / name, models, recordings=recordings)
        compare([place], tmp_path / "out", overwrite=True)
        told.append((tmp_path / "out" / "comparison.md").read_text(encoding="utf-8"))
    assert "8 clips of 8 utterances and 8 noise recordings" in told[0]
    assert "not independent" not in told[0]
    assert "each counts as independent. Evaluate again to know." in told[1]
    assert "all clips have one and the same noise recording: nothing here is about another." in told[2]
    assert "no test over clips is possible" in told[3]
    assert rows_in(tmp_path / "out")[0]["clips_low"] == ""


def test_noisy_stands_beside_and_better_than_the_baseline_may_be_worse_than_noisy(tmp_path: Path) -> None:
    noisy = 5.5  # between the baseline's 5 and kd's 6; l2 is better than alone and below noisy
    models = {
        "alone/seed-0": scores_around(5.0, 0, spread=0.01),
        "kd/seed-0": scores_around(6.0, 1, spread=0.01),
        "l2/seed-0": scores_around(5.2, 2, spread=0.01),
    }
    compare([write_evaluation(tmp_path / "a", models, noisy=noisy)], tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "SI-SDR, dB on test: better than alone, but still worse than the noisy input: l2." in text
    (line,) = (line for line in text.splitlines() if line.startswith("| SI-SDR, dB |"))
    assert "|  | alone | noisy | kd | l2 |" in text
    assert line.startswith("| SI-SDR, dB | 8.50 | c +0.50")
    assert rows_in(tmp_path / "out")[0]["holm_over_at_most"] == ""


def test_a_method_is_below_noisy_only_on_the_clips_that_both_have(tmp_path: Path) -> None:
    """The clips that it lacks are those with the highest scores, whoever has them."""
    kd = scores_around(0.6, 1, spread=0.01)
    kd[6:] = [math.nan, math.nan]
    models = {"alone/seed-0": scores_around(0.3, 0, spread=0.01), "kd/seed-0": kd}
    compare([write_evaluation(tmp_path / "a", models)], tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "| kd | 6 of 8 | 3.10 |" in text  # the mean of noisy, over all, is 3.5
    assert "worse than the noisy input" not in text


def test_sets_whose_names_would_be_one_file_keep_their_figures(tmp_path: Path) -> None:
    models = {"alone/seed-0": scores_around(5.0, 0), "kd/seed-0": scores_around(6.0, 1)}
    place = write_evaluation(tmp_path / "a", models, sets=("one", "other"))
    facts = [place / name / "evaluation.yaml" for name in ("one", "other")]
    for path, name in zip(facts, ("x/y", "x-y"), strict=True):
        path.write_text(path.read_text().replace(f"name: {path.parent.name}", f"name: {name}"))
    compare([place], tmp_path / "out")
    figures = sorted(path.name for path in (tmp_path / "out" / "figures").iterdir())
    assert figures == ["x-y-2-si_sdr.svg", "x-y-si_sdr.svg"]


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    places, output = evaluations(tmp_path, 2), tmp_path / "out"
    other = write_evaluation(tmp_path / "other", {"kd/seed-4": scores_around(5, 1)}, clips=[*CLIPS[:-1], "z"])
    with pytest.raises(UserError, match="clip7 is only in"):
        compare([places[0] / "test", other], output)
    with pytest.raises(UserError, match="did you mean alone"):
        compare(places, output, baseline="alonee")
    assert not output.exists()


def test_an_earlier_comparison_is_replaced_only_when_asked_and_nothing_else_is(tmp_path: Path) -> None:
    places, output = evaluations(tmp_path, 1), tmp_path / "out"
    compare(places, output, metrics=["stoi"])
    before = (output / "comparison.csv").read_bytes()
    with pytest.raises(UserError, match="exists already"):
        compare(places, output)
    compare(places, output, metrics=["stoi"], overwrite=True)
    assert (output / "comparison.csv").read_bytes() == before
    with pytest.raises(UserError, match="not an earlier output of this kind"):
        compare(places, places[0], overwrite=True)


def test_numbers_as_text() -> None:
    assert [p_text(p) for p in (0.0004, 0.0123, 0.456, 1.0, math.nan)] == [
        "<0.001",
        "0.012",
        "0.46",
        "1.00",
        "–",
    ]
    assert interval_text(paired_test([1.0, 2.0, 3.0]), 2) == "+2.00 [-0.48, +4.48]"  # 2 ± 4.303 / sqrt 3
    assert interval_text(paired_test([0.05]), 2) == "+0.05"
