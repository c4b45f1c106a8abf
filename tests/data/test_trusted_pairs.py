"""Pairs that do not seem to fit: refused with a way on; told, counted and noted where they are trusted."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings
from sedistill.data.pair_alignment import check_all, check_some
from sedistill.data.preparation import prepare
from sedistill.evaluation.command import evaluate_models
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.training.run import train
from sedistill.workflows.reproducing.sources import Sources
from sedistill.workflows.reproducing.table import Scale

from .sounds import RATE, save
from .test_pair_fit import hiss, late, voice

NETWORK: dict[str, Any] = {
    "class": "ConvTasNet", "filters": 8, "filter_length": 32, "bottleneck": 4, "hidden": 6, "skip": 0,
    "blocks": 2, "repeats": 1, "deep_layers": 0,
}  # fmt: skip


def reverberant(clean: np.ndarray) -> np.ndarray:
    """In a hall, with the source far away: hardly any direct sound, and a strong reflection after 50 ms."""
    rng = np.random.default_rng(0)
    tail = rng.standard_normal(RATE // 2) * np.exp(-np.arange(RATE // 2) / (0.2 * RATE)) * 0.02
    response = np.r_[0.02, np.zeros(799), 1.0, tail]
    return np.convolve(clean, response)[: len(clean)]


@pytest.fixture(params=["far too noisy", "reverberant", "late"])
def misfits(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Four pairs that belong together, in the folder pairs, and do not seem to."""
    for number in range(4):
        clean = voice(number, 1.5)
        noisy = {
            "far too noisy": clean + hiss(number, clean, -30),
            "reverberant": reverberant(clean),
            "late": late(clean, 600),
        }[request.param]
        save(tmp_path / f"pairs/clean/{number}.wav", clean)
        save(tmp_path / f"pairs/noisy/{number}.wav", noisy / max(1.0, float(np.abs(noisy).max())))
    return tmp_path / "pairs"


def test_every_refusal_names_the_way_on_and_it_is_one(
    misfits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    save_model(build_model(NETWORK), model, {"output_gain": 1.0})
    with pytest.raises(UserError, match=r"4 of 4 pairs .* as they are, .* with --trust-pairs\."):
        evaluate_models([model], [misfits], tmp_path / "e", ["si_sdr"], workers=1)
    scores = evaluate_models([model], [misfits], tmp_path / "e", ["si_sdr"], workers=1, trust_pairs=True)
    assert np.isfinite(scores["pairs"].mean("noisy", "si_sdr"))
    assert re.search(r"Warning: .* 4 of 4 pairs .* trusted and used as they are", capsys.readouterr().out)
    written = yaml.safe_load((tmp_path / "e/pairs/evaluation.yaml").read_text())
    assert written["set"]["trusted_although_they_do_not_fit"] == [f"{number}.wav" for number in range(4)]
    assert "shifted_samples" not in written["set"]

    recipe = tmp_path / "recipe.yaml"
    data = {"train": str(misfits), "valid": str(misfits)}
    settings = {"optimiser": {"batch_size": 4, "max_steps": 1}, "hardware": {"device": "cpu", "threads": 1}}
    recipe.write_text(yaml.safe_dump({"name": "t", "student": NETWORK, "data": data, **settings}))
    with pytest.raises(UserError, match=r"4 of 4 pairs .* with data\.trust_pairs: true\."):
        train(recipe, output=tmp_path / "run")
    student = train(recipe, ["data.trust_pairs=true"], output=tmp_path / "run")
    assert (student / "card.yaml").exists()
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["recipe"]["data"]["trust_pairs"] is True
    assert "trusted and used as they are" in capsys.readouterr().out


def test_what_was_trusted_when_it_was_prepared_is_trusted_on(
    misfits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders: dict[str, Any] = {"clean": misfits / "clean", "noisy": misfits / "noisy", "workers": 1}
    with pytest.raises(UserError, match=r"no usable noisy/clean pair .*\(4 [a-z ]+\);.*--trust-pairs keeps"):
        prepare(tmp_path / "c", **folders)
    summary = prepare(tmp_path / "c", trust_pairs=True, **folders)
    assert (
        "4 pairs do not seem to fit, kept as told by --trust-pairs, for example 0.wav: noisy"
        in summary.text()
    )
    corpus = Corpus.load(tmp_path / "c")
    assert corpus.facts["pairs_trusted"] is True
    assert len({clip.pair for clip in corpus}) == 4
    assert not any(clip.start for clip in corpus if clip.split == "train")
    capsys.readouterr()
    check_some(corpus)
    assert "trusted and used as they are" in capsys.readouterr().out
    whole = MixingSettings(clip_seconds=None)
    mix(tmp_path / "c", tmp_path / "s", "train", 2, mixing=whole, workers=1)
    pairs = FixedSet(tmp_path / "s")
    check_all(pairs, align=False, workers=1)
    assert pairs.misfits == ["000000.flac", "000001.flac"]


def test_a_table_on_pairs_that_do_not_fit_goes_on_when_told(misfits: Path, tmp_path: Path) -> None:
    scale = check_settings(Scale, {"sets": {"pairs": {"pairs": "pairs", "count": 4}}}, "scale")
    sources = Sources(misfits.parent, tmp_path / "out", scale)
    with pytest.raises(UserError, match=r"with --set data\.trust_pairs=true\."):
        sources.prepare([], ["pairs"])
    sources.prepare([], ["pairs"], trust_pairs=True)
    assert len(FixedSet(sources.set("pairs"))) == 4


def test_late_pairs_are_shifted_and_the_others_trusted_where_both_are_asked(tmp_path: Path) -> None:
    for number in range(2):
        clean = voice(number, 1.5)
        save(tmp_path / f"pairs/clean/{number}.wav", clean)
        save(tmp_path / f"pairs/noisy/{number}.wav", late(clean, 600) if number else voice(9, 1.5))
    pairs = FixedSet(tmp_path / "pairs")
    check_all(pairs, align=True, workers=1, trust=True)
    assert (pairs.misfits, pairs.lags.tolist()) == (["0.wav"], [0, 600])
    folders: dict[str, Any] = {"clean": tmp_path / "pairs/clean", "noisy": tmp_path / "pairs/noisy"}
    corpus = prepare(tmp_path / "c", align=True, trust_pairs=True, workers=1, **folders).corpus
    assert {clip.path: clip.start for clip in corpus if clip.kind == "noisy"} == {"0.wav": 0, "1.wav": 600}
