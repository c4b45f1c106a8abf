"""Training examples: crops and segments of pairs and sets, each a function of its key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.data.batches import train_loader
from sedistill.data.crops import Pairs, segments_of
from sedistill.data.examples import CropDataset, EpochClips, FixedDataset, MixtureDataset
from sedistill.data.mixing import MixingSettings

from .sounds import RATE, pairs, save, speech

HALF_SECOND = MixingSettings(clip_seconds=0.5)


def test_crops_of_a_set_of_sentences_share_a_length_and_hang_on_the_key(tmp_path: Path) -> None:
    pairs(tmp_path, count=3, seconds=0.4)
    dataset = CropDataset(tmp_path, clip_seconds=0.5, seed=1)
    whole = FixedDataset(tmp_path)
    assert whole.lengths.tolist() == [6400, 8400, 10_400]
    first, again = dataset[0, 2], dataset[0, 2]
    assert np.array_equal(first["noisy"], again["noisy"])
    assert not np.array_equal(first["noisy"], dataset[1, 2]["noisy"])
    for side in ("noisy", "clean"):
        sliding = np.lib.stride_tricks.sliding_window_view(whole[2][side], 8000)
        assert (sliding == first[side]).all(axis=1).any()
        padded = dataset[0, 0][side]
        assert padded.shape == (8000,)
        assert np.abs(padded).sum() == pytest.approx(np.abs(whole[0][side]).sum(), rel=1e-5)
    batch = next(iter(train_loader(dataset, 3, seed=0)))
    assert batch["noisy"].shape == (3, 8000)
    with pytest.raises(UserError, match="clip_seconds is 0"):
        CropDataset(tmp_path, clip_seconds=0)


def place_in(clip: np.ndarray, whole: np.ndarray) -> int | None:
    """Where a clip was cut out of a recording; None where it was not."""
    found = (np.lib.stride_tricks.sliding_window_view(whole, len(clip)) == clip).all(axis=1)
    return int(found.argmax()) if found.any() else None


def origins(dataset: MixtureDataset, epoch: int) -> list[int]:
    """Which ready pair each example of an epoch was cut from."""
    whole = [dataset.source.noisy.read(pair) for pair in range(len(dataset.source))]  # type: ignore[union-attr]
    examples = [dataset[epoch, index]["noisy"] for index in range(len(dataset))]
    return [next(p for p, one in enumerate(whole) if place_in(clip, one) is not None) for clip in examples]


def test_every_ready_pair_is_cut_once_an_epoch(pairs_corpus: Path) -> None:
    dataset = MixtureDataset(pairs_corpus, "train", HALF_SECOND, seed=2)
    count = len(dataset.source)  # type: ignore[arg-type]
    assert len(dataset) == count > 3
    first = origins(dataset, 0)
    assert sorted(first) == list(range(count))
    assert origins(dataset, 1) == first, "an example keeps its number"
    assert not np.array_equal(dataset[0, 0]["noisy"], dataset[1, 0]["noisy"]), "but is cut elsewhere"
    half = MixtureDataset(pairs_corpus, "train", HALF_SECOND, seed=2, length=count // 2)
    seen = origins(half, 0) + origins(half, 1)
    assert len(set(seen)) == 2 * (count // 2), "none comes again before all the others came"
    twice = MixtureDataset(pairs_corpus, "train", HALF_SECOND, seed=2, length=2 * count)
    assert sorted(origins(twice, 3)) == sorted(2 * list(range(count)))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 20), st.data())
def test_segments_cover_every_sample_and_none_is_to_spare(
    lengths: list[int], frames: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, frames))
    rows = segments_of(np.array(lengths), frames, stride)
    for clip, length in enumerate(lengths):
        starts = rows[rows[:, 0] == clip, 1].tolist()
        assert starts == [stride * number for number in range(len(starts))]
        assert starts[-1] + frames >= length
        assert len(starts) == 1 or starts[-2] + frames < length


def test_segments_of_ready_pairs_are_taken_each_once_an_epoch(pairs_corpus: Path) -> None:
    """Of 2 s, 0.75 s long and 0.5 s apart: at 0, 0.5, 1 and 1.5 s, the last with 0.25 s of silence."""
    assert segments_of(np.array([4, 5, 9]), 4, 2).tolist() == [
        [0, 0],
        [1, 0],
        [1, 2],
        [2, 0],
        [2, 2],
        [2, 4],
        [2, 6],
    ]
    settings = MixingSettings(clip_seconds=0.75)
    dataset = MixtureDataset(pairs_corpus, "train", settings, seed=2, stride_seconds=0.5)
    source = dataset.source
    assert isinstance(source, Pairs)
    expected = {}
    for pair, length in enumerate(source.noisy.frames.tolist()):
        whole = np.pad(source.noisy.read(pair), (0, 12_000)), np.pad(source.clean.read(pair), (0, 12_000))
        for start in range(0, max(1, length - 12_000 + 8000), 8000):
            expected[pair, start] = [side[start : start + 12_000] for side in whole]
    assert len(dataset) == len(expected) > len(source)
    examples = [dataset[3, index] for index in range(len(dataset))]
    for noisy, clean in expected.values():
        same = [one for one in examples if np.array_equal(one["noisy"], noisy)]
        assert len(same) == 1
        assert np.array_equal(same[0]["clean"], clean)
    assert np.array_equal(dataset[0, 1]["noisy"], dataset[9, 1]["noisy"])


def test_segments_of_a_set_of_sentences(tmp_path: Path) -> None:
    pairs(tmp_path, count=3, seconds=0.4)
    dataset, whole = CropDataset(tmp_path, 0.5, stride_seconds=0.1), FixedDataset(tmp_path)
    assert whole.lengths.tolist() == [6400, 8400, 10_400]
    assert len(dataset) == 1 + 2 + 3
    assert np.array_equal(dataset[2]["noisy"], np.pad(whole[1]["noisy"][1600:], (0, 1200)))
    assert np.array_equal(dataset[0]["clean"], np.pad(whole[0]["clean"], (0, 1600)))
    assert next(iter(train_loader(dataset, 6, seed=0)))["noisy"].shape == (6, 8000)


@pytest.mark.parametrize("stride", [0.0, 0.6, 1e-6])
def test_segments_that_would_leave_something_out_are_refused(
    stride: float, pairs_corpus: Path, mixed_corpus: Path, tmp_path: Path
) -> None:
    pairs(tmp_path, count=1)
    with pytest.raises(UserError, match=r"do not cover the sound; give a time above 0 and up to 0\.5 s"):
        CropDataset(tmp_path, 0.5, stride_seconds=stride)
    with pytest.raises(UserError, match="do not cover the sound"):
        MixtureDataset(pairs_corpus, "train", HALF_SECOND, stride_seconds=stride)
    with pytest.raises(UserError, match="speech and noise to be mixed"):
        MixtureDataset(mixed_corpus, "train", HALF_SECOND, stride_seconds=0.25)


@pytest.mark.parametrize("kind", ["mixtures", "pairs", "crops"])
def test_repeated_epochs_come_again_and_no_setting_shares_a_hash(
    kind: str, mixed_corpus: Path, pairs_corpus: Path, tmp_path: Path
) -> None:
    pairs(tmp_path, count=3)
    corpus = mixed_corpus if kind == "mixtures" else pairs_corpus

    def made(seconds: float = 0.5, seed: int = 2, **others: Any) -> MixtureDataset | CropDataset:
        if kind == "crops":
            return CropDataset(tmp_path, seconds, seed, **others)
        return MixtureDataset(corpus, "train", MixingSettings(clip_seconds=seconds), seed, **others)

    repeated, fresh = made(repeat_epochs=3), made()
    for epoch in (0, 2, 3, 7):
        again, first = repeated[epoch, 1], fresh[epoch % 3, 1]
        assert np.array_equal(again["noisy"], first["noisy"])
        assert np.array_equal(again["clean"], first["clean"])
        assert repeated.origin((epoch, 1)) == fresh.origin((epoch % 3, 1))
    assert not np.array_equal(fresh[3, 1]["noisy"], fresh[0, 1]["noisy"])

    clips = EpochClips(repeated, 2)
    assert len(clips) == len(fresh)
    assert set(clips.lengths.tolist()) == {RATE // 2}
    assert np.array_equal(clips.noisy(1), fresh[2, 1]["noisy"])
    assert clips.origin(1) == fresh.origin((2, 1))
    assert repeated.hash == fresh.hash == made().hash
    others = [made(0.6), made(seed=3)]
    if kind != "mixtures":
        others.append(made(stride_seconds=0.25))
    hashes = [one.hash for one in (fresh, *others)] + [clips.hash, EpochClips(fresh, 1).hash]
    assert len(set(hashes)) == len(hashes)
    assert EpochClips(fresh, 2).hash == clips.hash


def test_crops_avoid_pauses(tmp_path: Path) -> None:
    voice = np.concatenate([np.zeros(60_000), speech(0.5, 3)])
    for side in ("noisy", "clean"):
        save(tmp_path / side / "a.wav", voice)
    dataset = CropDataset(tmp_path, clip_seconds=0.25)
    assert all(np.abs(dataset[epoch, 0]["clean"]).max() > 0.05 for epoch in range(10))
