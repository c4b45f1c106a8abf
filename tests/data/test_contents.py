"""Changed audio and changed tables are noticed; a copy of everything is not a change."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.data import contents
from sedistill.data.content_table import read_contents, write_contents
from sedistill.data.contents import FILES, look
from sedistill.data.corpus import Corpus
from sedistill.data.examples import MixtureDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare

from .from_before import without_hashes
from .sounds import speech_and_noise

MIXING = MixingSettings(clip_seconds=0.5)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """sounds/, the corpus of them, and a set of four mixtures."""
    clean, noise = speech_and_noise(tmp_path / "sounds")
    prepare(tmp_path / "corpus", clean=clean, noise=noise, workers=1)
    mix(tmp_path / "corpus", tmp_path / "set", "train", 4, mixing=MIXING, workers=1)
    return tmp_path


def change_in_place(path: Path) -> None:
    """Another file of equal size with the same time of change, as `cp -p` or an archive may leave it."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap(one: Path, two: Path) -> None:
    other = one.with_name("between")
    one.rename(other)
    two.rename(one)
    other.rename(two)


def never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "file_hash", lambda path: pytest.fail(f"{path} was read"))


def test_an_unchanged_set_costs_no_reading(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never_read(monkeypatch)
    FixedSet(world / "set")
    MixtureDataset(world / "corpus", mixing=MIXING)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda s: change_in_place(s / "noisy/000002.flac"), r"noisy/000002\.flac \(was \w+, is \w+\)"),
        (lambda s: swap(s / "noisy/000000.flac", s / "noisy/000001.flac"),
         r"noisy/000000\.flac \(now what noisy/000001\.flac was\), noisy/000001\.flac"),
        (lambda s: swap(s / "noisy", s / "clean"), r"noisy/000000\.flac \(now what clean/000000\.flac was"),
        (lambda s: (s / "set.yaml").write_text((s / "set.yaml").read_text().replace("seed: 0", "seed: 1")),
         r"set\.yaml was changed"),
        (lambda s: swap_lines(s / "mixtures.csv"), r"set/mixtures\.csv was changed|was changed since"),
        (lambda s: edit(s / "mixtures.csv", "000003.flac,", "000003.flac,1"), r"mixtures\.csv was changed"),
    ],
)  # fmt: skip
def test_a_changed_set_is_refused_by_the_files_name(
    world: Path, harm: Callable[[Path], None], told: str
) -> None:
    harm(world / "set")
    with pytest.raises(UserError, match=told):
        FixedSet(world / "set")


def edit(path: Path, before: str, after: str) -> None:
    path.write_text(path.read_text().replace(before, after))


def swap_lines(table: Path) -> None:
    """The mixtures of two clips exchanged, their names left where they are."""
    header, first, second, *others = table.read_text().splitlines()
    rest = [line.split(",", 1)[1] for line in (first, second)]
    lines = [header, f"000000.flac,{rest[1]}", f"000001.flac,{rest[0]}", *others]
    table.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", ["noise", "clean"])
def test_changed_recordings_are_noticed_in_mixing_and_in_training(world: Path, kind: str) -> None:
    corpus = Corpus.load(world / "corpus")
    one, two = (corpus.split("train").kind(kind).path(index) for index in (0, 1))
    swap(one, two)
    for use in (
        lambda: MixtureDataset(world / "corpus", mixing=MIXING),
        lambda: mix(world / "corpus", world / "new", "train", 2, mixing=MIXING),
    ):
        with pytest.raises(
            UserError, match=rf"corpus was changed .*{kind}/.*now what {kind}/.* was.*prepare"
        ):
            use()
    swap(one, two)
    change_in_place(one)
    with pytest.raises(UserError, match=rf"{one.name} \(was \w+, is \w+\)"):
        MixtureDataset(world / "corpus", mixing=MIXING)
    one.unlink()
    with pytest.raises(UserError, match=rf"{one.name} \(gone\)"):
        MixtureDataset(world / "corpus", mixing=MIXING)


def test_a_manifest_is_not_edited_by_hand_but_roots_may_be(world: Path) -> None:
    (world / "sounds").rename(world / "elsewhere")
    facts = world / "corpus/corpus.yaml"
    edit(facts, str(world / "sounds"), str(world / "elsewhere"))
    MixtureDataset(world / "corpus", mixing=MIXING)
    manifest = (world / "corpus/corpus.csv").read_text()
    edit(world / "corpus/corpus.csv", ",train,", ",valid,")
    with pytest.raises(UserError, match=r"corpus\.csv was changed since"):
        Corpus.load(world / "corpus")
    (world / "corpus/corpus.csv").write_text(manifest)
    edit(facts, "seed: 0", "seed: 5")
    with pytest.raises(UserError, match=r"corpus\.yaml was changed since"):
        Corpus.load(world / "corpus")


def test_a_copy_of_everything_is_read_once_and_remembered(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world / "set", world / "copy", copy_function=shutil.copyfile)
    shutil.copytree(world / "sounds", world / "moved", copy_function=shutil.copyfile)
    shutil.rmtree(world / "sounds")
    (world / "moved").rename(world / "sounds")
    for _ in range(2):
        FixedSet(world / "copy")
        MixtureDataset(world / "corpus", mixing=MIXING)
        never_read(monkeypatch)


def test_what_is_from_before_is_read_once_said_and_held_to_from_then_on(
    world: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("set", "corpus"):
        without_hashes(world / name)
    FixedSet(world / "set").contents()
    MixtureDataset(world / "corpus", mixing=MIXING)
    assert capsys.readouterr().out.count("is from before files had hashes") == 2
    with monkeypatch.context() as patch:
        never_read(patch)
        FixedSet(world / "set").contents()
        MixtureDataset(world / "corpus", mixing=MIXING)
    assert capsys.readouterr().out == ""
    change_in_place(world / "set/clean/000001.flac")
    with pytest.raises(UserError, match=r"clean/000001\.flac"):
        FixedSet(world / "set").contents()


def test_a_lost_list_is_made_again_where_nothing_changed(world: Path) -> None:
    for damage in (lambda path: path.unlink(), lambda path: edit(path, "noisy/000001", "noisy/000007")):
        damage(world / "set" / FILES)
        FixedSet(world / "set")
        written = yaml.safe_load((world / "set/set.yaml").read_text())["files_hash"]
        assert read_contents(world / "set" / FILES, written) is not None
    (world / "set" / FILES).unlink()
    change_in_place(world / "set/clean/000001.flac")
    with pytest.raises(
        UserError, match=r"changed since it was written, and files\.csv.* is missing or damaged"
    ):
        FixedSet(world / "set")


def test_contents_come_back_from_disk(tmp_path: Path) -> None:
    for name in ('with "quotes", commas.wav', "two\nlines.wav", os.fsdecode(b"caf\xe9.wav")):
        (tmp_path / name).write_bytes(os.fsencode(name))
    found = look({path.name: path for path in tmp_path.iterdir()})
    write_contents(tmp_path / FILES, found)
    assert len(found) == 3
    assert read_contents(tmp_path / FILES) == found
