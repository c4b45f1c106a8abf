"""The command: what it writes of runs that recorded their patches, and what it refuses."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from sedistill.analyzing import analyze
from sedistill.analyzing.categories import CATEGORIES, categorize
from sedistill.analyzing.gaps import compute_gap, mean_over_bins, over_bins
from sedistill.analyzing.trends import Sorting, read_runs
from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.training.patch_record.patch_trends import (
    PatchTrends,
    ThinnedRecords,
    bins_of_patches,
    patch_errors,
)
from sedistill.training.patch_record.record import PatchRecord, read_patch_record, write_patch_record

RATE, SAMPLES, FRAMES, CLIPS = 16_000, (2_000, 3_000), (16, 24), ["a.flac", "b & c.flac"]
PATCHES, BINS = 13, 257
Run = Callable[..., Path]


def waves(seed: int, level: float) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(sum(SAMPLES))).astype(np.float32)


def errors_of(record: int, seed: int) -> np.ndarray:
    """Errors that fall in some patches, rise in others and stay in most."""
    random = np.random.default_rng(seed)
    start = random.uniform(0.05, 1, (PATCHES, sum(FRAMES)))
    slope = random.choice([-0.01, 0.0, 0.0, 0.02], (PATCHES, sum(FRAMES)))
    return start + slope * record


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Write a run's folder with a record of `count` observations every 10 steps; returns it."""

    def write(
        name: str, seed: int = 0, count: int = 5, teacher: str | None = None, distils: bool = False, **facts
    ):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        trends = PatchTrends.empty(PATCHES, sum(FRAMES))
        past = ThinnedRecords.empty(PATCHES, sum(FRAMES), capacity=4)
        for record in range(1, count + 1):
            trends = trends.with_record(errors_of(record, seed))
            past = past.with_record(10 * record, errors_of(record, seed))
        clean = waves(99, 0.1)
        record = PatchRecord(
            facts={
                "run": name, "seed": 0, "teacher": teacher, "clips_hash": "c", "sample_rate": RATE,
                "window_length": 512, "hop_length": 128, "patch_size": 20, "every_steps": 10,
                "level_db": None, "clean_rms_db": [-20.0, -21.0], "correct_level": True,
                "level_factor": 0.9, **facts,
            },
            clips=CLIPS, frames=np.array(FRAMES), samples=np.array(SAMPLES), noisy=clean + waves(98, 0.1),
            clean=clean, estimate=clean + waves(seed, 0.02 * (1 + seed)),
            untrained=errors_of(0, seed).astype(np.float32) + 3, trends=trends, past=past, step=10 * count,
            distilled=np.full((BINS, sum(FRAMES)), 2, np.int32) if distils else None, selections=5 * distils,
        )  # fmt: skip
        write_patch_record(folder, record)
        return folder

    return write


def rows_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_teacher_and_its_student(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    student = run("student", 2, teacher=str(tmp_path / "teacher" / "student"), distils=True)
    teacher, output = run("teacher", 1), tmp_path / "out"
    analysis = analyze([student, teacher], output, show=True)
    assert [one.name for one in analysis.runs] == ["teacher/seed-0", "student/seed-0"]
    assert sorted(path.name for path in output.iterdir()) == [
        "analysis.html", "analysis.md", "analysis.yaml", "curves.csv", "figures", "shares.csv",
    ]  # fmt: skip
    figures = {path.stem for path in (output / "figures").iterdir()}
    clip = {"categories-1", "categories-2", "gap-1", "distilled-2"}
    assert figures == {"curves-1", "curves-2", *(f"clip-{n}-{name}" for n in (1, 2) for name in clip)}

    rows = rows_in(output / "shares.csv")
    assert len(rows) == 2 * 3 * 4
    for name in ("teacher/seed-0", "student/seed-0"):
        for clip_name in ("all", *CLIPS):
            of_clip = [row for row in rows if (row["run"], row["clip"]) == (name, clip_name)]
            assert [row["category"] for row in of_clip] == list(CATEGORIES)
            assert sum(float(row["share"]) for row in of_clip) == pytest.approx(1)
    distilled = [row["distilled_share"] for row in rows if row["run"] == "student/seed-0"]
    assert [float(share) for share in distilled if share] == pytest.approx([0.4] * len(distilled))
    assert {row["teacher_ahead_share"] for row in rows if row["run"] == "teacher/seed-0"} == {""}

    text = (output / "analysis.md").read_text(encoding="utf-8")
    assert "Fewer than 10 observations (teacher/seed-0, student/seed-0)" in text
    assert "RMS of -20.5 dB full scale (-21.0 to -20.0 over the clips)" in text
    assert "![Categories: student/seed-0](figures/clip-1-categories-2.svg)" in text
    assert "distilled in training" in text
    page = (output / "analysis.html").read_text(encoding="utf-8")
    assert "b &amp; c.flac" in page
    facts = yaml.safe_load((output / "analysis.yaml").read_text(encoding="utf-8"))
    assert facts["teacher"] == "teacher/seed-0"
    assert (facts["converging_below"], facts["exploding_above"]) == (-0.01, 0.01)
    assert facts["runs"]["student/seed-0"]["observations"] == 5
    assert "Shares of the categories" in capsys.readouterr().out


def test_shares_and_curves_are_those_of_the_errors(run: Run, tmp_path: Path) -> None:
    """The whole way from five arrays of errors to the files, once more with numpy's fit."""
    folder = run("one", 3)
    analyze([folder], tmp_path / "out")
    errors = np.array([errors_of(record, 3) for record in range(1, 6)])
    slopes = np.polyfit(np.arange(5), errors.reshape(5, -1), 1)[0].reshape(errors.shape[1:])
    parts = [slice(0, 16), slice(16, 40)]
    expected = np.concatenate([categorize(4 * slopes[:, p], errors[-1][:, p]) for p in parts], axis=1)
    rows = {(r["clip"], r["category"]): r for r in rows_in(tmp_path / "out" / "shares.csv")}
    for category, name in enumerate(CATEGORIES):
        inside = expected == category
        row = rows["all", name]
        assert int(row["patches"]) == inside.sum() > 0
        assert float(row["mean_change"]) == pytest.approx(4 * slopes[inside].mean())
        assert float(row["mean_first_error"]) == pytest.approx(errors[0][inside].mean(), rel=1e-6)
        assert float(row["mean_last_error"]) == pytest.approx(errors[-1][inside].mean())
        assert float(rows[CLIPS[1], name]["share"]) == pytest.approx(inside[:, parts[1]].mean())
    curves = rows_in(tmp_path / "out" / "curves.csv")
    exploding = [row for row in curves if row["category"] == "exploding"]
    assert [int(row["step"]) for row in exploding] == [10, 30, 50]
    assert float(exploding[1]["mean_error"]) == pytest.approx(errors[2][expected == 3].mean(), rel=1e-6)
    assert float(exploding[2]["mean_error"]) == pytest.approx(errors[4][expected == 3].mean(), rel=1e-6)


def test_the_last_record_ends_the_curve_though_it_was_not_kept(run: Run, tmp_path: Path) -> None:
    analyze([run("one", count=6)], tmp_path / "out")
    steps = [int(row["step"]) for row in rows_in(tmp_path / "out" / "curves.csv")]
    assert sorted(set(steps)) == [10, 30, 50, 60]


def test_the_untrained_network_makes_trends_converge(run: Run, tmp_path: Path) -> None:
    folder = run("one")
    without, with_init = (
        read_runs([folder], Sorting(-0.01, 0.01, include_init=init))[0] for init in (False, True)
    )
    assert with_init.trends.count == 6
    assert with_init.steps.tolist() == [0, 10, 30, 50]
    assert with_init.shares()[0] > without.shares()[0]
    one = run("short", count=1)
    assert read_runs([one], Sorting(-0.01, 0.01, include_init=True))[0].trends.count == 2


def test_means_over_bins_sort_like_sums_with_thresholds_divided(run: Run, tmp_path: Path) -> None:
    folder = run("one")
    analysis = analyze([folder], tmp_path / "out", bin_reduction="mean")
    sorting = analysis.runs[0].sorting
    assert (sorting.converging_below, sorting.exploding_above) == pytest.approx((-0.0005, 0.0005))
    sums = read_runs([folder], Sorting(-0.01, 0.01))[0]
    full = slice(0, 12)  # the top patch has 17 bins
    moving = [0, 3]
    for category in moving:
        same = (analysis.runs[0].categories[full] == category) == (sums.categories[full] == category)
        assert same.all()
    np.testing.assert_allclose(analysis.runs[0].errors[:, :12] * 20, sums.errors[:, :12])
    np.testing.assert_allclose(analysis.runs[0].errors[:, 12] * 17, sums.errors[:, 12])


def test_thresholds_are_options(run: Run, tmp_path: Path) -> None:
    analysis = analyze([run("one")], tmp_path / "out", converging_below=-5, exploding_above=5)
    shares = analysis.runs[0].shares()
    assert shares[[0, 3]].tolist() == [0, 0]
    assert shares.sum() == pytest.approx(1)
    # All are converged or challenging: figures and tables do without the other two.
    assert "exploding 0.0 %" in (tmp_path / "out" / "analysis.md").read_text()
    with pytest.raises(UserError, match="give a number up to 0"):
        analyze([run("one")], tmp_path / "no", converging_below=0.1)


def test_the_gap_is_the_difference_of_errors(run: Run) -> None:
    teacher, student = read_runs([run("t", 1), run("s", 4)], Sorting(-0.01, 0.01))
    gap, stft = compute_gap(teacher, student), Stft()
    for samples, frames in zip(student.record.sample_slices, student.record.frame_slices, strict=True):
        spectra = [
            stft(torch.from_numpy(wave[samples])[None])
            for wave in (student.record.estimate, teacher.record.estimate, student.record.clean)
        ]
        expected = (patch_errors(spectra[0], spectra[2]) - patch_errors(spectra[1], spectra[2]))[0].numpy()
        np.testing.assert_allclose(gap.gap[:, frames], expected, rtol=1e-3, atol=1e-5)
        assert gap.selected[:, frames].mean() == pytest.approx(0.8, abs=0.01)
    assert gap.gap.mean() > 0, "the teacher of this example is better"


def test_bins_and_patches() -> None:
    values = np.arange(257.0)[:, None] * [1, 2]
    patches = mean_over_bins(values, 20)
    assert patches[0].tolist() == [9.5, 19.0]
    assert patches[-1].tolist() == [248.0, 496.0]
    assert (patches * bins_of_patches(257, 20)[:, None]).sum() == pytest.approx(values.sum())


def test_values_of_patches_are_spread_over_their_bins(run: Run) -> None:
    record = read_patch_record(run("one"))
    spread = over_bins(np.arange(13)[:, None], record)
    assert spread.shape == (257, 1)
    assert (spread[0, 0], spread[19, 0], spread[20, 0], spread[256, 0]) == (0, 0, 1, 12)


def test_a_teacher_is_named_or_found_or_missed_in_words(run: Run, tmp_path: Path) -> None:
    one, other = run("one", 1), run("other", 2)
    analysis = analyze([one, other], tmp_path / "none")
    assert not analysis.gaps
    assert "name it with `sedistill analyze --teacher`" in (tmp_path / "none" / "analysis.md").read_text()
    for runs in ([one, other], [one]):
        analysis = analyze(runs, tmp_path / f"named-{len(runs)}", teacher=other)
        assert [run.name for run in analysis.runs] == ["other/seed-0", "one/seed-0"]
        assert analysis.gaps[0].teacher.name == "other/seed-0"


def test_runs_that_cannot_be_analyzed(run: Run, tmp_path: Path) -> None:
    good, output = run("good"), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    cases = {
        "empty has no patches.npz; train the run with the recipe key patch_record": tmp_path / "empty",
        "nowhere does not exist": tmp_path / "nowhere",
        "single has one record after training began": run("single", count=1),
        "fresh has no record after training began": run("fresh", count=0),
        "recorded different clips": run("other", clips_hash="d"),
        r"patch_record.patch_size = 10, .*good with 20": run("small", patch_size=10),
        r"patch_record.level_db = -12, .*good with None": run("loud", level_db=-12),
        "given twice": good,
    }
    for words, folder in cases.items():
        with pytest.raises(UserError, match=words):
            analyze([good, folder], output)
    with pytest.raises(UserError, match="no run is given"):
        analyze([], output)
    record = read_patch_record(good)
    broken = replace(record, trends=replace(record.trends, sums=record.trends.sums * np.nan))
    write_patch_record(good, broken)
    with pytest.raises(UserError, match="not all finite"):
        analyze([good], output)
    assert not output.exists()


def test_an_earlier_analysis_is_replaced_only_when_asked_and_nothing_else_is(
    run: Run, tmp_path: Path
) -> None:
    folder, output = run("one"), tmp_path / "out"
    analyze([folder], output)
    before = {path.name: path.read_bytes() for path in (output / "figures").iterdir()}
    with pytest.raises(UserError, match="exists already"):
        analyze([folder], output)
    analyze([folder], output, overwrite=True)
    assert {path.name: path.read_bytes() for path in (output / "figures").iterdir()} == before
    with pytest.raises(UserError, match="not an earlier output of this kind"):
        analyze([folder], folder, overwrite=True)
