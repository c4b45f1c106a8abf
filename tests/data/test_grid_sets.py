"""Grids: every sentence with every noise at every SNR, and what SNR is measured on."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from sedistill.audio import levels
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.grid_sets import Grid, GridSettings, grid_settings, write_grid_set
from sedistill.data.preparation import prepare

from .sounds import RATE, noise, save, speech

SNR_DB = (-7.5, 2.5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two test sentences (0.8 and 1 s) and two noises, one of them in bursts; a training split besides."""
    root = tmp_path_factory.mktemp("grid")
    for split, first in (("train", 0), ("test", 10)):
        for number in (0, 1):
            save(root / f"clean/{split}/s{first}/{number}.wav", speech(0.8 + 0.2 * number, first + number))
        bursts = noise(6, first + 5) * (np.arange(6 * RATE) // 4000 % 4 == 0)
        save(root / f"noise/{split}/bursts/a.wav", bursts)
        save(root / f"noise/{split}/hiss/a.wav", noise(4, first + 6))
        save(root / f"noise/{split}/short/a.wav", noise(0.3, first + 7))
    prepare(root / "corpus", clean=root / "clean", noise=root / "noise", workers=1)
    return root / "corpus"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "mixtures.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_holds_every_combination_once_and_whole(corpus: Path, tmp_path: Path) -> None:
    summary = write_grid_set(corpus, tmp_path / "set", GridSettings(snr_db=SNR_DB), workers=1)
    table = rows(tmp_path / "set")
    found = [(row["clean"], row["noise_class"], float(row["snr_db"])) for row in table]
    sentences = ("test/s10/0.wav", "test/s10/1.wav")
    assert found == list(product(sentences, ("bursts", "hiss", "short"), SNR_DB))
    assert [int(row["frames"]) for row in table] == [12_800] * 6 + [16_000] * 6
    assert all(row["clean_start"] == row["clean_offset"] == "0" for row in table)
    assert "12 mixtures of split test" in summary.text()
    fixed = FixedSet(tmp_path / "set")
    assert fixed.facts["grid"]["snr_db"] == list(SNR_DB)
    for index in range(len(fixed)):
        noisy, clean = fixed[index]
        made = levels.snr_db(clean, noisy - clean, RATE)
        assert made == pytest.approx(fixed.snr_db[index], abs=0.5)


def test_snr_on_rms_is_the_ratio_of_the_powers_of_the_whole_clips(corpus: Path, tmp_path: Path) -> None:
    grid = GridSettings(snr_db=SNR_DB, noises=("bursts",), snr_on="rms")
    write_grid_set(corpus, tmp_path / "set", grid, workers=1)
    fixed = FixedSet(tmp_path / "set")
    for index in range(len(fixed)):
        noisy, clean = (signal.astype(float) for signal in fixed[index])
        ratio_db = 10 * np.log10(np.sum(clean**2) / np.sum((noisy - clean) ** 2))
        assert ratio_db == pytest.approx(fixed.snr_db[index], abs=0.05)
        assert levels.snr_db(clean, noisy - clean, RATE) != pytest.approx(ratio_db, abs=0.5)
        guard = float(rows(tmp_path / "set")[index]["guard"])
        assert levels.active_level_db(clean, RATE) == pytest.approx(-26 + levels.gain_to_db(guard), abs=0.1)


def test_speech_can_keep_its_level(corpus: Path, tmp_path: Path) -> None:
    write_grid_set(corpus, tmp_path / "set", GridSettings(snr_db=(20.0,), level_db=None), workers=1)
    _, clean = FixedSet(tmp_path / "set")[0]
    test = Corpus.load(corpus).split("test").kind("clean")
    assert rows(tmp_path / "set")[0]["level_db"] == ""
    assert clean == pytest.approx(test.read(0), abs=2**-15)


def test_noise_of_another_split(corpus: Path, tmp_path: Path) -> None:
    grid = GridSettings(snr_db=(0.0,), noises=("hiss",), noise_split="train")
    write_grid_set(corpus, tmp_path / "set", grid, workers=1)
    assert {row["noise"] for row in rows(tmp_path / "set")} == {"train/hiss/a.wav"}
    assert {row["clean"].split("/")[0] for row in rows(tmp_path / "set")} == {"test"}


def test_places_hang_on_seed_split_and_number_alone(corpus: Path, tmp_path: Path) -> None:
    settings = GridSettings(snr_db=SNR_DB)
    loaded = Corpus.load(corpus)
    grid, training = (Grid.open(loaded, split, settings) for split in ("test", "train"))
    plans = [grid.plan(3, number) for number in range(len(grid))]
    assert [grid.plan(3, number) for number in reversed(range(len(grid)))] == plans[::-1]
    starts = [plan.noise[0].start for plan in plans]
    assert len(set(starts)) == len(starts)
    assert [grid.plan(4, number).noise[0].start for number in range(len(grid))] != starts
    assert [training.plan(3, number).noise[0].start for number in range(len(training))] != starts
    again = grid.plan(3, 0, attempt=1)
    assert again.noise[0].start != starts[0]
    assert again.noise[0].clip == plans[0].noise[0].clip
    hashes = {
        write_grid_set(corpus, tmp_path / str(seed), settings, seed=seed, workers=1).facts["hash"]
        for seed in (0, 1)
    }
    assert len(hashes) == 2


def test_settings_from_a_command_line() -> None:
    grid = grid_settings(["snr_db=-7.5,-2.5, 2.5,7.5", "noises=hiss,bursts", "snr_on=rms", "level_db=null"])
    assert grid.snr_db == (-7.5, -2.5, 2.5, 7.5)
    assert grid.noises == ("hiss", "bursts")
    assert (grid.snr_on, grid.level_db) == ("rms", None)
    assert grid_settings(["snr_db=5"]).snr_db == (5.0,)
    assert grid_settings(["snr_db=[1, 2]"]).snr_db == (1.0, 2.0)
    for text, match in {
        "snr_db=loud": "grid setting: snr_db",
        "snr_db=1,1": "a value is there twice",
        "snr_db=[]": "the list is empty",
        "clip_seconds=4": "unknown key clip_seconds",
    }.items():
        texts = [text] if text.startswith("snr_db") else ["snr_db=0", text]
        with pytest.raises(UserError, match=match):
            grid_settings(texts)
    with pytest.raises(UserError, match="snr_db is missing"):
        grid_settings([])


def test_what_is_not_there_is_named_and_nothing_is_written(
    corpus: Path, pairs_corpus: Path, tmp_path: Path
) -> None:
    for match, folder, grid in (
        (r"split 'test' has no noise called rain; it has bursts, hiss, short", corpus, {"noises": ("rain",)}),
        (r"has no split 'other'", corpus, {"noise_split": "other"}),
        (r"holds ready pairs", pairs_corpus, {}),
    ):
        with pytest.raises(UserError, match=match):
            write_grid_set(folder, tmp_path / "set", GridSettings(snr_db=(0.0,), **grid))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
