"""Manifests of many clips: what is drawn from them is what it always was, whatever way they were read."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sedistill.common import csv_index
from sedistill.common.csv_index import INDEX
from sedistill.common.errors import UserError
from sedistill.data import manifest
from sedistill.data.clip_table import Clip, ClipTable
from sedistill.data.corpus import Corpus
from sedistill.data.examples import MixtureDataset
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings, plan_mixture

MIXING = MixingSettings(clip_seconds=1.0)
DRAWN_BEFORE = "db39408c712e86dfa074299c2e850b148bbc6fe7dfdc5eac7a54fa9c81abea4a"
"""What the first test found before manifests were columns."""


def made_up(clips: int) -> Corpus:
    """Clips without audio, of a few groups, in an order that is none."""

    def clip(number: int) -> Clip:
        kind = ("clean", "noise")[number % 2]
        path = f"{kind}/é{number * 7919 % clips:05d}.flac"
        facts = (f"g{number % 7}", 0, 40_000 + number * 31 % 50_000, -30.0 - number % 13 / 7, 0.5, 0.0)
        return Clip(
            "root", path, kind, ("train", "valid")[number % 5 == 4], *facts, 16_000, 1, f"{number:064x}"
        )

    return Corpus.from_clips("made-up", map(clip, range(clips)), 16_000, {"root": Path("nowhere")})


def test_draws_from_a_made_up_corpus_are_those_of_earlier_versions() -> None:
    material = Material(made_up(1000).split("train"))
    plans = [repr(plan_mixture(3, 1, index, material, MixingSettings())) for index in range(500)]
    paths = [material.speech.path(index).as_posix() for index in range(len(material.speech))]
    drawn = "\n".join(plans + paths)
    assert hashlib.sha256(drawn.encode()).hexdigest() == DRAWN_BEFORE


def everything(folder: Path) -> list[bytes]:
    dataset = MixtureDataset(folder, mixing=MIXING, seed=5)
    made = [dataset[epoch, index] for epoch in range(2) for index in range(len(dataset))]
    return [one[side].tobytes() for one in made for side in ("noisy", "clean")] + [dataset.hash.encode()]


def test_mixtures_are_the_same_through_an_index(mixed_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = everything(mixed_corpus)
    assert not list(mixed_corpus.glob(f"*{INDEX}"))
    with monkeypatch.context() as patch:
        patch.setattr(csv_index, "WORTH_AN_INDEX", 0)
        assert everything(mixed_corpus) == without  # built
        assert sorted(path.name for path in mixed_corpus.glob(f"*{INDEX}")) == ["corpus.index", "files.index"]
        patch.setattr(manifest, "read_parts", lambda *_: pytest.fail("corpus.csv was parsed"))
        assert everything(mixed_corpus) == without  # read
    for path in mixed_corpus.glob(f"*{INDEX}"):
        path.unlink()


def test_a_table_gives_its_clips_back(mixed_corpus: Path) -> None:
    clips = [
        Clip(
            "a", "x/é.wav", "clean", "train", "", 5, 9, -31.25, 0.5, 0.0, 44_100, 2, "0" * 64, "pair", "a/ö"
        ),
        Clip(
            "b",
            "\udce9.wav",
            "noise",
            "",
            "g",
            0,
            1,
            -1.5,
            1.0,
            1.0,
            8_000,
            1,
            "f" * 64,
            recording="r",
            offset=-0.1,
        ),
        Clip("a", "x/é.wav", "clean", "valid", "", 14, 9, -31.25, 0.5, 0.0, 44_100, 2, "0" * 64),
    ]
    table = ClipTable.of(clips)
    assert [table[row] for row in range(3)] == clips
    assert table.file.tolist() == [0, 1, 0]
    assert len(ClipTable.of([])) == 0
    corpus = Corpus.load(mixed_corpus)
    assert list(Corpus.from_clips("x", corpus, 16_000, corpus.roots)) == list(corpus)
    assert Corpus.from_clips("x", corpus, 16_000, corpus.roots).hash == corpus.hash
    parted = Corpus.from_clips(
        "x", [replace(clip, group=clip.group + "ü") for clip in corpus], 16_000, corpus.roots
    )
    assert parted.groups() == [f"{group}ü" for group in corpus.groups()]


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(csv_index, "WORTH_AN_INDEX", 0)
    (tmp_path / "t.csv").write_text("1,2,3")
    return tmp_path / "t.csv"


def read(table: Path, built: list[int], kind: str = "numbers") -> list[int]:
    def build() -> tuple[dict[str, np.ndarray], dict[str, str]]:
        built.append(1)
        return {"n": np.array(table.read_text().split(","), np.int64), "none": np.empty(0)}, {"more": "é"}

    arrays, facts = csv_index.indexed(table, kind, build)
    assert (len(arrays["none"]), facts["more"]) == (0, "é")
    return arrays["n"].tolist()


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm",
    [
        lambda table: table.write_text("1,2,4"),
        lambda table: flip(table.with_suffix(INDEX), -1),
        lambda table: table.with_suffix(INDEX).write_bytes(b""),
        lambda table: table.with_suffix(INDEX).write_bytes(table.with_suffix(INDEX).read_bytes()[:-3]),
        lambda table: flip(
            table.with_suffix(INDEX), table.with_suffix(INDEX).read_bytes().index(b'"more"') + 8
        ),
    ],
    ids=["another table", "a bit", "nothing", "cut short", "a fact"],
)
def test_an_index_that_does_not_fit_is_made_anew(numbers: Path, harm: Callable[[Path], None]) -> None:
    built: list[int] = []
    assert read(numbers, built) == read(numbers, built) == [1, 2, 3]
    assert len(built) == 1
    assert load_file(numbers.with_suffix(INDEX))["n"].tolist() == [1, 2, 3]
    assert numbers.with_suffix(INDEX).stat().st_mode == numbers.stat().st_mode
    harm(numbers)
    expected = [int(cell) for cell in numbers.read_text().split(",")]
    assert read(numbers, built) == read(numbers, built) == expected
    assert len(built) == 2
    assert read(numbers, built, "others") == expected
    assert len(built) == 3


def test_where_no_index_can_be_written_there_is_none(numbers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("read-only")

    monkeypatch.setattr(csv_index, "_write", refuse)
    assert read(numbers, []) == [1, 2, 3]
    assert not numbers.with_suffix(INDEX).exists()
