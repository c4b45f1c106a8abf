"""The recorder of patches: what it keeps is what the networks did, and the run does not notice it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.data.examples import CropDataset, FixedDataset, MixtureDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.distill.bin_losses import MagnitudeL2
from sedistill.distill.choice import rule_text
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.patches import UniformPatches
from sedistill.teachers.bandwidth import below
from sedistill.teachers.level_factor import level_factors, summarize_factors
from sedistill.training.patch_record.clips import clips_to_watch
from sedistill.training.patch_record.patch_trends import patch_errors
from sedistill.training.patch_record.record import PatchRecord, read_patch_record
from sedistill.training.patch_record.record_settings import PatchRecordSettings
from sedistill.training.patch_record.recorder import PatchRecorder, Selection
from sedistill.training.run import train
from sedistill.training.tasks import Task
from tests.data.sounds import speech_and_noise
from tests.training.conftest import write_pairs
from tests.training.runs import assert_resumes_exactly, same, weights

Write = Callable[..., Path]
RECORD = {"clips": 2, "every_steps": 2}
SELECTS = [{"loss": "l2", "keep": 0.5, "score": "random"}]
EXACT = torch.autocast("cpu", enabled=False)


class Scaled(torch.nn.Module):
    """A network of one weight."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return self.scale * noisy


def recorder(folder: Path, network: torch.nn.Module, selection: Selection | None = None, **settings: Any):
    clips = FixedSet(folder / "valid") if (folder / "valid").exists() else None
    clips = clips or FixedSet(write_pairs(folder / "valid", clips=3, seed=5))
    given = PatchRecordSettings(**{"clips": 2, "every_steps": 1, **settings})
    watched = clips_to_watch(given, clips, FixedDataset(clips))
    return PatchRecorder(network, watched, given, folder, torch.device("cpu"), EXACT, {}, selection)


def alike(one: PatchRecord, other: PatchRecord) -> bool:
    def fields(record: PatchRecord) -> dict[str, Any]:
        return {**vars(record), **vars(record.trends), **vars(record.past), "trends": 0, "past": 0}

    a, b = fields(one), fields(other)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_the_run_does_not_notice(write_recipe: Write, world: Path) -> None:
    changes = {"teacher": str(world / "teacher"), "objectives": SELECTS}
    plain = train(write_recipe("plain", **changes), output=world / "plain")
    watched = train(write_recipe("watched", patch_record=RECORD, **changes), output=world / "watched")
    assert same(weights(plain), weights(watched))
    assert not (world / "plain" / "patches.npz").exists()


@pytest.mark.parametrize("stop_at", [1, 4, 5])
def test_resumes_exactly(write_recipe: Write, world: Path, stop_at: int) -> None:
    recipe = write_recipe(teacher=str(world / "teacher"), objectives=SELECTS, patch_record=RECORD)
    assert_resumes_exactly(recipe, world, stop_at)
    whole, parts = (read_patch_record(world / name) for name in ("whole", "parts"))
    assert alike(whole, parts)
    assert (whole.step, whole.trends.count, whole.selections) == (8, 4, 4)
    assert whole.past.steps.tolist() == [2, 4, 6, 8]
    assert whole.facts["run"] == "run"
    assert whole.facts["teacher"] == str(world / "teacher")
    assert 0.4 < whole.distilled.mean() / whole.selections < 0.6


def test_a_plain_run_is_recorded_without_a_selection(write_recipe: Write, world: Path) -> None:
    train(write_recipe(patch_record=RECORD), output=world / "out")
    record = read_patch_record(world / "out")
    assert record.distilled is None
    assert record.selections == 0


def test_nothing_is_counted_in_a_stage_without_distillation(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe(
        teacher=str(world / "teacher"), objectives=[{"loss": "l2", "keep": 0.5}],
        two_step={"kd_steps": 4}, patch_record={"clips": 1, "every_steps": 2},
    )  # fmt: skip
    train(recipe, output=world / "out")
    record = read_patch_record(world / "out")
    assert (record.trends.count, record.selections) == (4, 2)


@pytest.mark.parametrize("correct_level", [True, False])
def test_errors_are_those_of_the_estimate(tmp_path: Path, correct_level: bool) -> None:
    """Two records of two networks against equation 1 on waveforms computed here."""
    network = Scaled(3.0)
    watch = recorder(tmp_path, network, level_db=-20.0, correct_level=correct_level, patch_size=30)
    stft, clips, expected = Stft(), FixedSet(tmp_path / "valid"), []
    for step, scale in enumerate((3.0, -0.7, 2.0)):
        network.scale.data.fill_(scale)
        watch.after_step(step)
        errors = []
        pairs = [tuple(torch.from_numpy(side)[None] for side in clips[index]) for index in range(2)]
        factor = summarize_factors(
            torch.cat([level_factors(scale * noisy, clean) for noisy, clean in pairs])
        ).factor
        for noisy, clean in pairs:
            gain = 0.1 / clean.square().mean().sqrt()
            estimate = (factor if correct_level else 1) * scale * noisy
            errors.append(patch_errors(stft(gain * estimate), stft(gain * clean), 30)[0])
        expected.append(torch.cat(errors, dim=1).numpy())
    record = read_patch_record(tmp_path)
    np.testing.assert_allclose(record.untrained, expected[0], rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(record.past.errors, expected[1:], rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(record.trends.sums, expected[1] + expected[2], rtol=2e-3, atol=1e-5)
    assert record.facts["clean_rms_db"] == pytest.approx([-20, -20], abs=1e-3)
    kept = torch.from_numpy(record.estimate[record.sample_slices[1]])[None]
    clean = torch.from_numpy(record.clean[record.sample_slices[1]])[None]
    errors = patch_errors(stft(kept), stft(clean), 30)[0]
    np.testing.assert_allclose(errors, record.trends.last[:, record.frame_slices[1]], rtol=1e-4, atol=1e-6)
    first = record.with_untrained()
    assert first.past.steps.tolist() == [0, 1, 2]
    assert first.trends.count == 3


@pytest.mark.parametrize(
    "objective",
    [
        DISPatch(MagnitudeL2(), keep=0.3),
        DISPatch(MagnitudeL2(), gate="teacher_over_noisy"),
        DISPatch(MagnitudeL2(), UniformPatches(20, frames=4), threshold=0.01, keep_schedule="linear"),
    ],
    ids=["top", "gate", "threshold"],
)
@pytest.mark.parametrize("bandwidth", [1.0, 0.5])
def test_what_is_counted_is_what_dispatch_selects(
    tmp_path: Path, objective: DISPatch, bandwidth: float
) -> None:
    student = Scaled(0.5)
    task = Task(student, lambda *_: None, 0.5, {"kd": (1.0, objective)}, 0.5,  # type: ignore[arg-type]
                {"teacher": lambda noisy: 0.9 * noisy}, -15.0, bandwidth=bandwidth)  # fmt: skip
    watch = recorder(tmp_path, student, Selection.of(task))
    for step in range(3):
        watch.after_step(step)
    record, clips = read_patch_record(tmp_path), FixedSet(tmp_path / "valid")
    assert record.selections == 2
    assert record.distilled is not None
    for index, frames in enumerate(record.frame_slices):
        noisy, clean = (torch.from_numpy(side)[None] for side in clips[index])
        gain = 10 ** (-15 / 20) / clean.square().mean().sqrt()
        heard = [gain * wave for wave in (0.5 * noisy, 0.9 * noisy, clean, noisy)]
        if bandwidth < 1:
            heard = [below(wave, bandwidth) for wave in heard]
        seen = objective.explain(*heard, share_done=0.0)
        assert record.facts["rule"] == rule_text(objective)
        bins = slice(None) if bandwidth == 1 else slice(140)  # what is left above is rounding
        np.testing.assert_array_equal(record.distilled[bins, frames], 2 * seen.selected_bins[0, bins].numpy())


def test_a_ranking_over_the_batch_is_one_over_the_clips_of_one_length(tmp_path: Path) -> None:
    for samples, seed in ((2400, 1), (2000, 2)):
        write_pairs(tmp_path / "valid", clips=3 if samples == 2400 else 1, seed=seed, samples=samples)
    student, objective = Scaled(0.5), DISPatch(MagnitudeL2(), keep=0.3, rank_over="batch")
    task = Task(student, lambda *_: None, 0.5, {"kd": (1.0, objective)}, 0.5,  # type: ignore[arg-type]
                {"teacher": lambda noisy: 0.9 * noisy}, None)  # fmt: skip
    watch = recorder(tmp_path, student, Selection.of(task), clips=3)
    watch.after_step(1)
    record, clips = read_patch_record(tmp_path), FixedSet(tmp_path / "valid")
    assert "of the recorded clips of one length" in record.facts["rule"]
    assert len(set(record.samples.tolist())) == 2
    pairs = [clips[index] for index in range(1, 3)]  # the first clip is the short one
    noisy, clean = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    seen = objective.explain(0.5 * noisy, 0.9 * noisy, clean, noisy)
    assert record.distilled is not None
    for index in (1, 2):
        frames = record.frame_slices[index]
        np.testing.assert_array_equal(record.distilled[:, frames], seen.selected_bins[index - 1].numpy())


def test_neither_memory_nor_disk_grows_with_the_steps(tmp_path: Path) -> None:
    watch = recorder(tmp_path, Scaled())
    sizes = []
    for step in range(140):
        watch.after_step(step)
        assert len(watch.past.steps) < 64
        sizes.append((tmp_path / "patches.npz").stat().st_size)
    assert max(sizes[80:]) <= max(sizes[:80])
    assert watch.trends.count == 139


@pytest.mark.parametrize("crop_seconds", [None, 0.1])
def test_training_clips_can_be_watched(write_recipe: Write, world: Path, crop_seconds: float | None) -> None:
    """DISPatch's figure 2 looks at clips that are trained on; crops stay those of epoch 0."""
    record = {**RECORD, "split": "train"}
    train(write_recipe(patch_record=record, data={"crop_seconds": crop_seconds}), output=world / "out")
    kept, clips = read_patch_record(world / "out"), FixedSet(world / "train")
    dataset = FixedDataset(clips) if crop_seconds is None else CropDataset(clips, crop_seconds)
    assert kept.clips == [clips.name(0), clips.name(1)]
    assert kept.facts["split"] == "train"
    for index, samples in enumerate(kept.sample_slices):
        np.testing.assert_array_equal(kept.clean[samples], dataset[(0, index)]["clean"])


def test_mixtures_made_on_the_fly_can_be_watched(tmp_path: Path) -> None:
    clean, noise = speech_and_noise(tmp_path / "sounds")
    prepare(tmp_path / "corpus", clean=clean, noise=noise, workers=1)
    mixtures = MixtureDataset(
        tmp_path / "corpus", "train", MixingSettings(clip_seconds=0.5), seed=3, length=4
    )
    valid = FixedSet(write_pairs(tmp_path / "valid", clips=3, seed=5))
    watched = clips_to_watch(PatchRecordSettings(clips=2, split="train"), valid, mixtures)
    assert watched.names == ["mixture 0 of epoch 0", "mixture 1 of epoch 0"]
    np.testing.assert_array_equal(watched.pairs[1][0], mixtures[(0, 1)]["noisy"])


def test_an_unsteady_network_is_put_back_into_its_mode(tmp_path: Path) -> None:
    network = torch.nn.Sequential(Scaled(), torch.nn.Dropout(0.5)).train()
    network[0].eval()
    random = torch.get_rng_state()
    recorder(tmp_path, network).after_step(0)
    assert (network.training, network[0].training, network[1].training) == (True, False, True)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"clips": 9, "every_steps": 2}, "patch_record.clips = 9 but data.valid has 4"),
        ({"split": "train", "clips": 13, "every_steps": 2}, "patch_record.clips = 13 but data.train has 12"),
        ({"every_steps": 1000}, "every_steps = 1000 leaves no trend to see in the 9 steps"),
        ({"patch_size": 0}, "patch_record.patch_size"),
        ({"clip": 2}, "did you mean clips"),
    ],
)
def test_mistakes_are_named(write_recipe: Write, world: Path, record: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        train(write_recipe(patch_record=record), output=world / "out")
    assert not (world / "out").exists()


def test_a_teacher_that_knows_its_own_files_alone_cannot_be_asked_about_the_clips(
    write_recipe: Write, world: Path
) -> None:
    changes = {"teacher": {"folder": str(world / "train" / "noisy"), "delay_ms": 0}, "patch_record": RECORD}
    with pytest.raises(UserError, match=r"patch_record asks the teacher .* folder:\S+ cannot answer"):
        train(write_recipe(objectives=SELECTS, **changes), output=world / "out")
    assert not (world / "out").exists()
    train(write_recipe(objectives=[{"loss": "l2"}], **changes), output=world / "out")  # selects nothing


def test_other_clips_are_refused_when_resuming(tmp_path: Path) -> None:
    watch = recorder(tmp_path / "a", Scaled())
    watch.after_step(0)
    write_pairs(tmp_path / "b" / "valid", clips=3, seed=77)
    with pytest.raises(UserError, match="not those whose patches were recorded"):
        recorder(tmp_path / "b", Scaled()).load_state_dict(watch.state_dict())


def test_unreadable_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_patch_record(tmp_path / "none")
    with pytest.raises(UserError, match="recipe key patch_record"):
        read_patch_record(tmp_path)
    recorder(tmp_path, Scaled()).after_step(0)
    path = tmp_path / "patches.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    with pytest.raises(UserError, match="damaged"):
        read_patch_record(tmp_path)
    for position in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        with pytest.raises(UserError, match="damaged"):
            read_patch_record(tmp_path)
