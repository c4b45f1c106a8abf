"""Batches: the same audio for any number of workers and after any restart; workers that stay small."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.data.batches import EpochBatches, EqualLengthBatches, fixed_loader, train_loader
from sedistill.data.examples import FixedDataset, MixtureDataset
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings

from .sounds import RATE, pairs

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
        loader.batch_sampler.set_position(epoch, 0)
        whole += batches(loader)
    resumed = fresh()
    resumed.batch_sampler.set_position(1, 2)
    assert equal(batches(resumed), whole[6:])
    assert not equal(whole[:4], whole[4:])


def test_epochs_differ_and_each_visits_every_example_once() -> None:
    sampler = EpochBatches(10, 5, seed=0)
    orders = []
    for epoch in range(3):
        sampler.set_position(epoch, 0)
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
    sampler.set_position(epoch, 0)
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
