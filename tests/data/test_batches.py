"""Batches: the same audio for any number of workers and after any restart; workers that stay small."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.data.batches import EpochBatches, EqualLengthBatches, fixed_loader, train_loader
from sedistill.data.crops import Pairs, segments_of
from sedistill.data.examples import CropDataset, EpochClips, FixedDataset, MixtureDataset
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings

from .sounds import RATE, pairs, save, speech

HALF_SECOND = MixingSettings(clip_seconds=0.5)


def batches(loader: torch.utils.data.DataLoader) -> list[tuple[torch.Tensor, ...]]:
    return [(batch["index"], batch["noisy"], batch["clean"]) for batch in loader]


def equal(one: list[tuple[torch.Tensor, ...]], other: list[tuple[torch.Tensor, ...]]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("corpus", ["mixed_corpus", "pairs_corpus"])
def test_any_number_of_workers_gives_the_same_audio_bit_for_bit(
    corpus: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(corpus)
    dataset = MixtureDataset(folder, "train", HALF_SECOND, seed=2, length=13)
    expected = batches(train_loader(dataset, 4, seed=2))
    assert [tuple(noisy.shape) for _, noisy, _ in expected] == [(4, RATE // 2)] * 3
    assert expected[0][1].dtype == torch.float32
    for workers in (1, 2):
        assert equal(batches(train_loader(dataset, 4, seed=2, workers=workers)), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumes_in_the_middle_of_an_epoch(mixed_corpus: Path, workers: int) -> None:
    def fresh() -> torch.utils.data.DataLoader:
        dataset = MixtureDataset(mixed_corpus, "train", HALF_SECOND, seed=2, length=12)
        return train_loader(dataset, 3, seed=2, workers=workers)

    whole = []
    loader = fresh()
    for epoch in range(2):
        loader.batch_sampler.set_epoch(epoch)
        whole += batches(loader)
    resumed = fresh()
    resumed.batch_sampler.set_position(1, 2)
    resumed.batch_sampler.set_epoch(1)  # what a training loop says when it enters the epoch: no step back
    assert equal(batches(resumed), whole[6:])
    assert not equal(whole[:4], whole[4:])


def test_epochs_differ_and_each_visits_every_example_once() -> None:
    sampler = EpochBatches(10, 5, seed=0)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        keys = [key for batch in sampler for key in batch]
        assert {key[0] for key in keys} == {epoch}
        orders.append([key[1] for key in keys])
        assert sorted(orders[-1]) == list(range(10))
    assert orders[0] != orders[1] != orders[2]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99), st.integers(0, 9), st.data())
def test_from_any_position_the_rest_of_the_epoch_follows(
    length: int, batch_size: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    if length < batch_size:
        with pytest.raises(UserError, match="do not fill a batch"):
            EpochBatches(length, batch_size, seed)
        return
    sampler = EpochBatches(length, batch_size, seed)
    sampler.set_epoch(epoch)
    whole = list(sampler)
    assert len(whole) == len(sampler) == length // batch_size
    assert all(len(batch) == batch_size for batch in whole)
    first = data.draw(st.integers(0, len(whole)))
    other = EpochBatches(length, batch_size, seed)
    other.set_position(epoch, first)
    assert list(other) == whole[first:]
    assert len(other) == len(whole)


def test_positions_that_are_none_are_refused() -> None:
    sampler = EpochBatches(10, 5, seed=0)
    for epoch, batch in ((-1, 0), (0, 3), (0, -1)):
        with pytest.raises(ValueError, match="an epoch has 2 batches"):
            sampler.set_position(epoch, batch)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.integers(1, 7))
def test_equal_lengths_share_batches_and_no_clip_is_lost(lengths: list[int], batch_size: int) -> None:
    made = list(EqualLengthBatches(np.array(lengths), batch_size))
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    assert all(len({lengths[index] for index in batch}) == 1 for batch in made)
    fewest = sum(-(-lengths.count(length) // batch_size) for length in set(lengths))
    assert len(made) == len(EqualLengthBatches(np.array(lengths), batch_size)) == fewest


def test_a_fixed_set_of_different_lengths_is_read_whole_and_in_one_order(tmp_path: Path) -> None:
    pairs(tmp_path, count=5)
    dataset = FixedDataset(tmp_path)
    expected = batches(fixed_loader(dataset, 4))
    assert [noisy.shape[1] for _, noisy, _ in expected] == [32_000, 34_000, 36_000, 38_000, 40_000]
    assert equal(batches(fixed_loader(dataset, 4, workers=2)), expected)
    assert np.array_equal(dataset[(3, 2)]["noisy"], dataset[2]["noisy"])


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


def test_the_global_random_state_is_left_alone(mixed_corpus: Path, tmp_path: Path) -> None:
    pairs(tmp_path, count=2)
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    batches(train_loader(MixtureDataset(mixed_corpus, "train", HALF_SECOND, length=4), 2, seed=1))
    batches(fixed_loader(FixedDataset(tmp_path), 2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_an_epoch_covers_the_speech_once(mixed_corpus: Path) -> None:
    dataset = MixtureDataset(mixed_corpus, "train", HALF_SECOND)
    assert len(dataset) == round(dataset.seconds_of_speech / 0.5)
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_training_on_clips_of_different_lengths_is_refused(mixed_corpus: Path, tmp_path: Path) -> None:
    pairs(tmp_path, count=3)
    with pytest.raises(UserError, match=r"last from 2\.00 to 2\.25 s and cannot share a batch"):
        train_loader(FixedDataset(tmp_path), 2, seed=0)
    for match, arguments in {
        "clip_seconds is null": {"mixing": MixingSettings(clip_seconds=None)},
        "an epoch of 0 mixtures": {"length": 0},
        "no split 'dev'": {"split": "dev"},
    }.items():
        with pytest.raises(UserError, match=match):
            MixtureDataset(mixed_corpus, **arguments)  # type: ignore[arg-type]


def test_a_training_set_on_the_disk_follows_the_same_order(mixed_corpus: Path, tmp_path: Path) -> None:
    mix(mixed_corpus, tmp_path / "set", "train", 8, 2, HALF_SECOND)
    fixed = train_loader(FixedDataset(tmp_path / "set"), 4, seed=2)
    on_the_fly = train_loader(MixtureDataset(mixed_corpus, "train", HALF_SECOND, 2, 8), 4, seed=2)
    for (index, noisy, _), (other_index, other_noisy, _) in zip(
        batches(fixed), batches(on_the_fly), strict=True
    ):
        assert torch.equal(index, other_index)
        assert torch.allclose(noisy, other_noisy, atol=2**-15)


@pytest.mark.slow
def test_memory_of_a_worker_is_flat_in_the_size_of_the_corpus() -> None:
    """A worker that visits all of 60 000 clips copies next to nothing of the list of them."""
    grown = [int(_run_worker(clips)) for clips in (2_000, 60_000)]
    # The same list as Python objects would take more than ten thousand kB.
    assert grown[1] - grown[0] < 2_500, f"kB of private memory: {grown}"


def _run_worker(clips: int) -> str:
    """kB of private memory a forked process has gained after it used every clip of the corpus."""
    script = f"""
        import os
        from pathlib import Path
        from sedistill.data.clip_table import Clip
        from sedistill.data.corpus import Corpus
        from sedistill.data.mix_sources import Material
        from sedistill.data.mixing import MixingSettings, plan_mixture

        def private_kb():
            lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
            return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

        def clip(number):
            kind = ("clean", "noise")[number % 2]
            path = f"a/rather/long/folder/name/{{kind}}/{{number:08d}}.flac"
            facts = ("train", f"g{{number % 1000}}", 0, 160_000, -30.0, 0.5, 0.0, 16_000, 1, "0" * 64)
            return Clip("root", path, kind, *facts)

        corpus = Corpus.from_clips("c", map(clip, range({clips})), 16_000, {{"root": Path("/nowhere")}})
        material = Material(corpus)
        plan_mixture(0, 0, 0, material, MixingSettings())
        read, write = os.pipe()
        if os.fork() == 0:
            before = private_kb()
            for index in range(3000):
                plan = plan_mixture(0, 0, index, material, MixingSettings())
                material.speech.path(plan.speech.clip)
            for index in range(len(material.speech)):
                material.speech.path(index)
            os.write(write, str(private_kb() - before).encode())
            os._exit(0)
        os.wait()
        print(os.read(read, 99).decode())
    """
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("private memory is read from /proc, which this system has not")
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    ).stdout
