"""A corpus in shards: the mixtures of the files, from a folder and from a server that goes and comes back."""

import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from sedistill.common.errors import UserError
from sedistill.data.batches import train_loader
from sedistill.data.corpus import Corpus
from sedistill.data.examples import MixtureDataset
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.data.shards import members, writing
from sedistill.data.shards.ranges import ShardError
from sedistill.data.shards.shard_settings import ShardSettings
from sedistill.workflows.checking.data_checks import check_corpus

from ..sounds import noise, save, speech_and_noise

MIXING = MixingSettings(clip_seconds=0.5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """files/, and of the same sounds shards/, whose tables are in tables/ too; files of several pieces."""
    folder = tmp_path_factory.mktemp("shards")
    clean, hiss = speech_and_noise(folder / "sounds")
    save(folder / "sounds/noise/n0/lông.wav", noise(6.0, 77), rate=22_050)  # is converted
    prepare(folder / "files", clean=clean, noise=hiss, workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "PIECE_BYTES", PIECE)
        patch.setattr(writing, "PIECE_BYTES", PIECE)
        patch.setattr(writing, "SHARD_BYTES", 150_000)
        prepare(folder / "tables", clean=clean, noise=hiss, workers=1, shards=str(folder / "shards"))
    return folder


PIECE = 40_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "PIECE_BYTES", PIECE)
    monkeypatch.setattr("sedistill.data.shards.member_files.PIECE_BYTES", PIECE)


def dataset(folder: Path, **settings: object) -> MixtureDataset:
    shards = ShardSettings(**{"patience_seconds": 0, **settings})  # type: ignore[arg-type]
    return MixtureDataset(Corpus.load(folder, shards), mixing=MIXING, seed=5)


def everything(data: MixtureDataset) -> list[bytes]:
    made = [data[epoch, index] for epoch in range(2) for index in range(len(data))]
    return [one[side].tobytes() for one in made for side in ("noisy", "clean")]


def copy_of(world: Path, folder: Path) -> Path:
    """Shards of one's own to harm."""
    return Path(shutil.copytree(world / "shards", folder / "shards"))


def test_mixtures_are_those_of_the_files(world: Path, tmp_path: Path) -> None:
    expected = dataset(world / "files")
    assert len(list((world / "shards").glob("train-*.tar"))) > 2
    for folder in (world / "tables", world / "shards"):
        found = dataset(folder, cache=tmp_path / "cache")
        assert everything(found) == everything(expected)
        assert (found.hash, found.part.hash) == (expected.hash, expected.part.hash)
        assert found.part.contents().in_order
    assert not (world / "tables/audio").exists()
    pieces = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(pieces) > len(expected.part)  # long files have several
    corpus, same = Corpus.load(world / "files"), Corpus.load(world / "tables")
    assert [same.loudest(index) for index in range(len(same))] == [
        corpus.loudest(index) for index in range(len(corpus))
    ]


def test_shards_are_plain_tar_files_of_the_audio(world: Path, tmp_path: Path) -> None:
    corpus = Corpus.load(world / "files")
    for path in (world / "shards").glob("*.tar"):
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path, filter="data")
    for name, place in corpus.files().items():
        assert (tmp_path / name).read_bytes() == Path(place).read_bytes()
    assert soundfile.info(tmp_path / "audio/noise/n0/lông.wav.flac").samplerate == 16_000


def test_a_run_begun_with_files_is_of_the_same_data_with_shards(world: Path) -> None:
    from sedistill.data.content_table import contents_hash
    from sedistill.data.contents import differences

    files, shards = (Corpus.load(world / name).split("train").contents() for name in ("files", "tables"))
    assert contents_hash(files) == contents_hash(shards)
    assert differences(files, shards) == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "it is not there"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "not those that were written"),
        (lambda path: os.truncate(path, 600), "came instead of"),
    ],
    ids=["missing", "damaged", "cut short"],
)
def test_a_shard_that_cannot_be_used_is_named_or_skipped(
    world: Path, tmp_path: Path, harm: object, told: str, capsys: pytest.CaptureFixture
) -> None:
    shards = copy_of(world, tmp_path)
    harm(shards / "train-noise-000000.tar")  # type: ignore[operator]
    with pytest.raises(ShardError, match=rf"train-noise-000000\.tar cannot be used: .*{told}.*skip_missing"):
        everything(dataset(shards))
    assert any("train-noise-000000.tar" in fault for fault in check_corpus(shards))
    capsys.readouterr()
    skipping, whole = everything(dataset(shards, skip_missing=True)), everything(dataset(world / "files"))
    assert capsys.readouterr().out.count("skipped") == 1
    assert len(skipping) == len(whole)
    kept = sum(one == other for one, other in zip(skipping, whole, strict=True))
    assert 0 < kept < len(whole)  # what does not need the shard is as it was
    assert everything(dataset(shards, skip_missing=True)) == skipping


def test_without_a_single_shard_there_is_nothing_to_skip_to(world: Path, tmp_path: Path) -> None:
    shards = copy_of(world, tmp_path)
    for path in shards.glob("*.tar"):
        path.unlink()
    with pytest.raises(ShardError):
        _ = dataset(shards, skip_missing=True)[0]


def test_the_cache_stays_within_its_bound_and_a_damaged_piece_is_fetched_again(
    world: Path, tmp_path: Path
) -> None:
    expected, cache = everything(dataset(world / "files")), tmp_path / "cache"
    for bound in (0.001, 0.0002 * 5):
        found = dataset(world / "tables", cache=cache, cache_gb=bound)
        assert everything(found) == expected
        held = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        assert 0 < held <= 1.01 * bound * 1e9 + PIECE
    for path in cache.rglob("*-*"):
        path.write_bytes(b"x" * path.stat().st_size)
    assert everything(dataset(world / "tables", cache=cache)) == expected


def test_the_cache_keeps_what_was_used_last_and_all_that_is_not_its_own(tmp_path: Path) -> None:
    from sedistill.data.shards.piece_cache import PieceCache

    own = tmp_path / "thesis" / "chapter-1.tex", tmp_path / "ab" / "cd-0"
    for path in own:
        path.parent.mkdir()
        path.write_bytes(bytes(20_000))
        os.utime(path, ns=(0, 0))
    cache, names = PieceCache(tmp_path, 10_000), [f"{number:02d}{'0' * 62}-0" for number in range(30)]
    cache.put(names[0], bytes(1000))
    for number in range(1, 30):
        cache.put(names[number], bytes(1000))
        assert cache.get(names[0]) is not None  # and so used last
        os.utime(tmp_path / f"{number:02d}" / names[number], ns=(number, number))
    held = sum(path.stat().st_size for path in tmp_path.rglob("*-0") if path not in own)
    assert 5_000 <= held <= 10_000
    assert cache.get(names[29]) == bytes(1000)
    assert cache.get(names[1]) is None
    assert all(path.is_file() for path in own)


def test_what_is_refused(world: Path, tmp_path: Path) -> None:
    sounds = {"clean": world / "sounds/clean", "noise": world / "sounds/noise"}
    with pytest.raises(UserError, match="holds a corpus already"):
        prepare(tmp_path / "new", **sounds, shards=str(world / "shards"))
    with pytest.raises(UserError, match=r"nonsense://place cannot be read: .*[Pp]rotocol"):
        prepare(tmp_path / "new", **sounds, shards="nonsense://place")
    with pytest.raises(UserError, match="lies in shards"):
        prepare(tmp_path / "new", clean=sounds["clean"], join=world / "tables")
    tables = Path(shutil.copytree(world / "tables", tmp_path / "tables"))
    text = (tables / "members.csv").read_text()
    (tables / "members.csv").write_text(text.replace(",512,", ",1024,", 1))
    with pytest.raises(UserError, match=r"members\.csv was changed"):
        Corpus.load(tables)
    facts = (tables / "corpus.yaml").read_text()
    (tables / "corpus.yaml").write_text(facts.replace("format_version: 1", "format_version: 2"))
    with pytest.raises(UserError, match="has format version 2, this program reads 1; prepare the corpus"):
        Corpus.load(tables)
    assert not (tmp_path / "new").exists()


class NoCredentialsError(Exception):
    """As botocore has it, by its name and words."""


def test_credentials_that_lack_are_told_at_once(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    data = dataset(world / "tables", patience_seconds=60)
    monkeypatch.setattr("sedistill.data.shards.ranges.file_system", refused)
    began = time.monotonic()
    with pytest.raises(UserError, match="cannot be used: Unable to locate credentials; mend that"):
        _ = data[0, 0]
    assert time.monotonic() - began < 30


class Server:
    """A process of its own that serves a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            str(Path(__file__).with_name("range_server.py")),
            str(self.folder),
            str(self.port),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(world: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    one = Server(world / "shards")
    yield one
    one.stop()


def tables_of(world: Path, folder: Path, place: str) -> Path:
    """Tables that speak of shards elsewhere, as one may correct them by hand."""
    tables = Path(shutil.copytree(world / "tables", folder / "tables"))
    facts = yaml.safe_load((tables / "corpus.yaml").read_text(encoding="utf-8"))
    (tables / "corpus.yaml").write_text(yaml.safe_dump({**facts, "shards": place}), encoding="utf-8")
    return tables


def batches(data: MixtureDataset, workers: int, first: int = 0) -> Iterator[np.ndarray]:
    loader = train_loader(data, 4, seed=1, workers=workers)
    loader.batch_sampler.set_position(0, first)  # type: ignore[union-attr]
    for batch in loader:
        yield batch["noisy"].numpy()


def test_a_server_that_goes_away_in_mid_epoch(
    world: Path, tmp_path: Path, server: Server, capfd: pytest.CaptureFixture
) -> None:
    tables = tables_of(world, tmp_path, f"http://127.0.0.1:{server.port}")
    expected = list(batches(dataset(world / "files"), workers=0))
    found = []
    for number, batch in enumerate(batches(dataset(tables, patience_seconds=60), workers=2)):
        found.append(batch)
        if number == 1:
            server.stop()
            threading.Timer(2.0, server.start).start()
    assert np.array_equal(found, expected)
    assert "trying again for 60 s" in capfd.readouterr().out
    again = list(batches(dataset(tables, patience_seconds=60), workers=1, first=3))  # as a run that resumes
    assert np.array_equal(again, expected[3:])


def test_a_server_that_stays_away_is_named(world: Path, tmp_path: Path, server: Server) -> None:
    tables = tables_of(world, tmp_path, f"http://127.0.0.1:{server.port}")
    server.stop()
    began = time.monotonic()
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:\d+/train-\w+-\d+\.tar cannot be used"):
        next(batches(dataset(tables, patience_seconds=1), workers=1))
    assert time.monotonic() - began < 30
