"""Corpora and sets: made once, linked where they are there, refused where they are something else."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sedistill.common.errors import UserError
from sedistill.common.settings import check_settings
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.preparation import prepare
from sedistill.workflows.reproducing.missing_data import missing
from sedistill.workflows.reproducing.sources import (
    Sources,
    corpora_of,
    prepare_corpus,
    refuse_other_speakers,
    sources_of,
)
from sedistill.workflows.reproducing.table import CorpusSettings, Scale, load_table


@pytest.fixture
def scale(paper: Path) -> Scale:
    return load_table(paper / "table1").scales["small"]


def changed(scale: Scale, **sets: object) -> Scale:
    plain = scale.model_dump(mode="json")
    return check_settings(Scale, {**plain, "sets": {**plain["sets"], **sets}}, "scale")


def test_a_corpus_that_is_only_scored_on_needs_no_training_data(
    recordings: Path, scale: Scale, tmp_path: Path
) -> None:
    for kind in ("clean", "noise"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        (tmp_path / "data" / kind / "test").symlink_to(recordings / kind / "test")
    sources = Sources(tmp_path / "data", tmp_path / "out", scale)
    assert missing(sources, [], ["test"]) == []
    (phrase,) = missing(sources, ["speech"], ["test"])
    assert phrase.endswith("has no part for train")


def test_what_is_missing_is_made_once(recordings: Path, scale: Scale, tmp_path: Path) -> None:
    sources = Sources(recordings, tmp_path / "out", scale)
    sources.prepare(["speech"], ["valid"])
    manifest, clip = sources.corpus("speech") / "corpus.csv", sources.set("valid") / "noisy" / "000000.flac"
    made = manifest.stat().st_mtime_ns, clip.stat().st_mtime_ns
    sources.prepare(["speech"], ["valid", "test"])
    assert made == (manifest.stat().st_mtime_ns, clip.stat().st_mtime_ns)
    assert len(FixedSet(sources.set("test"))) == 3


def test_a_prepared_corpus_is_used_where_it_lies(recordings: Path, scale: Scale, tmp_path: Path) -> None:
    prepare(tmp_path / "corpora" / "speech", clean=recordings / "clean", noise=recordings / "noise")
    for data in (tmp_path / "corpora", tmp_path / "corpora" / "speech"):
        sources = Sources(data, tmp_path / f"out-{data.name}", scale)
        sources.prepare(["speech"], ["valid"])
        assert sources.corpus("speech").resolve() == tmp_path / "corpora" / "speech"
        assert len(FixedSet(sources.set("valid"))) == 2


def test_the_speakers_that_validate_are_the_tables(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for speaker in ("p226", "p282", "p287", "p230"):
        voice = 0.1 * random.standard_normal(16_000)
        for side in ("clean", "noisy"):
            place = tmp_path / "vbd" / f"{side}_trainset_28spk_wav" / f"{speaker}_001.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            sf.write(place, voice, 16_000)
    settings = {"layout": "voicebank-demand-28", "hours": 1, "valid_speakers": ["p282", "p287"]}
    prepare_corpus(tmp_path / "vbd", tmp_path / "out", check_settings(CorpusSettings, settings, "corpus"))
    corpus = Corpus.load(tmp_path / "out")
    assert {clip.group for clip in corpus.split("valid")} == {"p282", "p287"}
    assert {clip.group for clip in corpus.split("train")} == {"p226", "p230"}


def test_a_corpus_with_other_speakers_to_validate_is_refused(
    recordings: Path, scale: Scale, tmp_path: Path
) -> None:
    prepare(tmp_path / "corpus", clean=recordings / "clean", noise=recordings / "noise")
    speakers = sorted({clip.group for clip in Corpus.load(tmp_path / "corpus").split("valid")})
    refuse_other_speakers(tmp_path / "corpus", None)
    refuse_other_speakers(tmp_path / "corpus", speakers[::-1])
    with pytest.raises(
        UserError, match="and this table has p282, p287; prepare it again with --valid-speakers p2"
    ):
        refuse_other_speakers(tmp_path / "corpus", ["p282", "p287"])


def test_pairs_are_used_where_they_lie(recordings: Path, scale: Scale, tmp_path: Path) -> None:
    Sources(recordings, tmp_path / "first", scale).prepare(["speech"], ["test"])
    (recordings / "pairs").symlink_to(tmp_path / "first" / "sets" / "test")
    pairs = changed(scale, pairs={"pairs": "pairs", "count": 3, "optional": True})
    sources = Sources(recordings, tmp_path / "out", pairs)
    assert sources.has("pairs")
    sources.prepare([], ["pairs"])
    sources.prepare([], ["pairs"])
    assert len(FixedSet(sources.set("pairs"))) == 3
    assert not Sources(tmp_path, tmp_path / "out", pairs).has("pairs")
    assert not sources.has("nothing of the kind")


def test_a_grid_is_written(recordings: Path, scale: Scale, tmp_path: Path) -> None:
    grid = changed(scale, grid={"corpus": "speech", "count": 8, "grid": {"snr_db": [0, 5], "snr_on": "rms"}})
    sources = Sources(recordings, tmp_path / "out", grid)
    sources.prepare(["speech"], ["grid"])
    assert len(FixedSet(sources.set("grid"))) == 8


def test_other_settings_under_the_same_name_are_refused(
    recordings: Path, scale: Scale, tmp_path: Path
) -> None:
    Sources(recordings, tmp_path / "out", scale).prepare(["speech"], ["valid"])
    more = changed(scale, valid={"corpus": "speech", "split": "valid", "count": 3})
    with pytest.raises(UserError, match=r"sets/valid was made from other data or settings"):
        Sources(recordings, tmp_path / "out", more).prepare([], ["valid"])
    (tmp_path / "other" / "clean").mkdir(parents=True)
    with pytest.raises(UserError, match=r"corpora/speech was made from other data"):
        Sources(tmp_path / "other", tmp_path / "out", scale).prepare(["speech"], [])


@pytest.mark.parametrize(
    "text", ["[1]", "sets/valid: 3", "other: {a: 1}", "../x: {a: 1}", "sets/valid: [", "1: {}", "\0"]
)
def test_a_note_of_origins_that_is_none_is_refused(
    recordings: Path, scale: Scale, tmp_path: Path, text: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "reproduce.yaml").write_text(text)
    with pytest.raises(UserError, match=r"reproduce\.yaml.*choose another place with --output"):
        Sources(recordings, tmp_path / "out", scale).prepare(["speech"], [])


def test_what_is_not_there_is_named(scale: Scale, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"clean and .*noise do not exist; --data needs clean/"):
        Sources(tmp_path, tmp_path / "out", scale).prepare(["speech"], [])
    two = {**scale.model_dump(mode="json")}
    two["corpora"] = {**two["corpora"], "vctk": {"layout": "voicebank-demand-28", "hours": 9.4}}
    sources = Sources(tmp_path, tmp_path / "out2", check_settings(Scale, two, "scale"))
    with pytest.raises(UserError, match=r"vctk does not exist; put \(or link\) the corpus there"):
        sources.prepare(["vctk"], [])


def test_recipes_say_which_sources_they_need(scale: Scale) -> None:
    recipes = [
        {"data": {"train": "sets/train", "valid": "sets/valid"}},
        {"data": {"train": "corpora/speech", "valid": "sets/valid"}},
    ]
    assert sources_of(recipes, scale) == (["speech"], ["train", "valid"])
    assert sources_of(recipes[:1], scale) == ([], ["train", "valid"])
    assert corpora_of(["test"], scale) == {"speech"}
