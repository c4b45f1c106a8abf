"""Training with recordings that have no clean speech: which terms see them, and that nothing else changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.distill.bin_losses import ComplexL2, MagnitudeL2
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.ranking import WITHOUT_CLEAN
from sedistill.distill.several import Several
from sedistill.training.patch_record.record import read_patch_record
from sedistill.training.run import train
from sedistill.training.tasks import level_gain
from tests.data.sounds import noise, save
from tests.training.runs import assert_resumes_exactly, same, weights
from tests.training.test_tasks import task

Write = Callable[..., Path]
SELECTING = DISPatch(MagnitudeL2(), keep=0.5)
PLAIN = DISPatch(ComplexL2())
LEVEL_DB = -12.0


def signals(labelled: int, others: int, seed: int) -> dict[str, torch.Tensor]:
    """A batch whose last clips have no clean speech."""
    torch.manual_seed(seed)
    noisy = 0.1 * torch.randn(labelled + others, 1000)
    clean = (0.8 * noisy + 0.02 * torch.randn_like(noisy))[:labelled]
    return {"noisy": noisy, "clean": clean, "teacher": 0.9 * noisy + 0.01 * torch.randn_like(noisy)}


def first(count: int, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: values[:count] for name, values in batch.items()}


@given(labelled=st.integers(1, 3), others=st.integers(1, 3), seed=st.integers(0, 99))
def test_terms_that_need_clean_speech_are_those_of_the_clips_that_have_it(
    labelled: int, others: int, seed: int
) -> None:
    """Their values, and the gradient that they give the student."""
    gated = DISPatch(MagnitudeL2(), keep=1.0, gate="teacher_over_noisy")
    objectives = {"selecting": (1.0, SELECTING), "gated": (0.5, gated)}
    batch = signals(labelled, others, seed)
    mixed = task(objectives=objectives, kd_level_db=LEVEL_DB)
    alone = task(objectives=objectives, kd_level_db=LEVEL_DB)
    found, expected = mixed.losses(batch), alone.losses(first(labelled, batch))
    assert found.parts.keys() == expected.parts.keys()
    for name, value in expected.parts.items():
        torch.testing.assert_close(found.parts[name], value)
    found.total.backward()
    expected.total.backward()
    torch.testing.assert_close(mixed.student.gain.grad, alone.student.gain.grad)  # type: ignore[attr-defined]


@given(labelled=st.integers(1, 3), others=st.integers(1, 3), seed=st.integers(0, 99))
def test_other_terms_are_means_over_all_clips(labelled: int, others: int, seed: int) -> None:
    """Clips without clean speech have the level of their noisy sound."""
    batch = signals(labelled, others, seed)
    found = task(objectives={"plain": (1.0, PLAIN)}, kd_level_db=LEVEL_DB).losses(batch)
    gain = torch.cat([
        level_gain(batch["clean"], LEVEL_DB), level_gain(batch["noisy"][labelled:], LEVEL_DB)
    ])  # fmt: skip
    students, teachers = gain * 0.5 * batch["noisy"], gain * batch["teacher"]
    each = [PLAIN(one[None], other[None]) for one, other in zip(students, teachers, strict=True)]
    torch.testing.assert_close(found.parts["kd/plain"], torch.stack(each).mean())


@pytest.mark.parametrize("bandwidth", [1.0, 0.5])
def test_a_batch_without_any_clean_speech_has_the_other_terms_alone(bandwidth: float) -> None:
    """As the search for what is not finite looks at one clip after another."""
    batch = signals(0, 2, seed=1)
    objectives = {"selecting": (1.0, SELECTING), "plain": (1.0, PLAIN)}
    parts = task(objectives=objectives, bandwidth=bandwidth).losses(batch).parts
    assert "se" not in parts
    assert {name for name in parts if name.startswith("kd/")} == {"kd/plain"}
    assert all(bool(value.isfinite()) for value in parts.values())


@pytest.mark.parametrize("score", WITHOUT_CLEAN)
def test_rankings_without_clean_speech_see_all_clips(score: Any) -> None:
    batch = signals(2, 2, seed=4)
    batch |= {"teachers.a": batch["teacher"], "teachers.b": 0.5 * batch.pop("teacher")}
    kd = DISPatch(MagnitudeL2(), keep=0.5, score=score)
    several = Several("mean")
    silent = dict.fromkeys(("teachers.a", "teachers.b"), lambda noisy: pytest.fail("its output is there"))
    one = task(objectives={"kd": (1.0, kd)}, several=several, teachers=silent, kd_level_db=None)
    torch.manual_seed(5)
    found = one.losses(batch).parts["kd/kd"]
    named = {"a": batch["teachers.a"], "b": batch["teachers.b"]}
    together, _ = several(named, batch["clean"])
    torch.manual_seed(5)
    expected = kd(0.5 * batch["noisy"], together, noisy=batch["noisy"], teachers=named)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("rule", ["best", "mean"])
def test_of_several_teachers_the_best_is_known_by_clean_speech_alone(rule: Any) -> None:
    batch = signals(2, 2, seed=3)
    teacher = batch.pop("teacher")
    batch |= {"teachers.a": teacher, "teachers.b": 0.5 * teacher}
    silent = dict.fromkeys(("teachers.a", "teachers.b"), lambda noisy: pytest.fail("its output is there"))
    objectives = {"plain": (1.0, PLAIN), "selecting": (1.0, SELECTING)}
    both = task(objectives=objectives, several=Several(rule), teachers=silent)
    found, alone = both.losses(batch).parts, both.losses(first(2, batch)).parts
    torch.testing.assert_close(found["kd/selecting"], alone["kd/selecting"])
    assert torch.allclose(found["kd/plain"], alone["kd/plain"]) == (rule == "best")


@pytest.fixture
def noisy(world: Path) -> Path:
    for number in range(2):
        save(world / f"field/{number}.wav", noise(0.5, number, 44_100), 44_100)
    return world / "field"


@pytest.fixture
def taught(world: Path) -> dict[str, Any]:
    objectives = [{"loss": "l2", "keep": 0.5}, {"loss": "complex_l2", "power": 0.3}]
    return {"teacher": str(world / "teacher"), "objectives": objectives}


@pytest.mark.parametrize("data", [{}, {"crop_seconds": 0.1}, {"crop_seconds": 0.1, "repeat_epochs": 2}])
def test_runs_with_recordings_resume_exactly(
    world: Path, write_recipe: Write, taught: dict[str, Any], noisy: Path, data: dict[str, Any],
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    recipe = write_recipe(data={**data, "noisy": str(noisy)}, **taught)
    student = assert_resumes_exactly(recipe, world, stop_at=5)
    told = " ".join(capsys.readouterr().out.split())
    assert "2 files, 1 s without clean speech; 1 crop in each batch" in told
    assert "12 (4 an epoch" in told, "12 clips, three in each batch of four"
    kept = list((world / "train").glob("teacher-outputs/teacher-*"))
    assert len(kept) == {0: 2, 1: 0, 2: 4}[len(data)], "of clips and of crops, in each epoch that comes again"
    if kept:
        live = train(recipe, ["teacher_use.cache=never"], output=world / "live")
        for name, value in weights(live).items():
            torch.testing.assert_close(weights(student)[name], value, atol=5e-3, rtol=0)


@pytest.mark.parametrize("score", WITHOUT_CLEAN)
def test_a_training_by_every_ranking_without_clean_speech(
    world: Path, write_recipe: Write, noisy: Path, score: str
) -> None:
    """Its own loss and the distilled one are of all steps, and the recorder explains what is selected."""
    both = {name: str(world / "teacher") for name in ("a", "b")}
    recipe = write_recipe(
        teachers=both, several="mean", objectives=[{"loss": "l2", "keep": 0.5, "score": score}],
        data={"noisy": str(noisy)}, patch_record={"clips": 1, "every_steps": 2},
    )  # fmt: skip
    train(recipe, output=world / "run")
    logged = (world / "run/metrics.csv").read_text()
    assert "kd/l2" in logged
    assert "nan" not in logged
    record = read_patch_record(world / "run")
    assert record.selections > 0
    assert record.distilled is not None
    assert 0 < record.distilled.max() <= record.selections


def test_agreement_is_between_several(world: Path, write_recipe: Write, taught: dict[str, Any]) -> None:
    one = {"teachers": {"a": taught["teacher"]}}
    for teachers in ({"teacher": taught["teacher"]}, one):
        recipe = write_recipe(**teachers, objectives=[{"loss": "l2", "keep": 0.5, "score": "agreement"}])
        with pytest.raises(UserError, match="score: agreement compares several teachers; name two or more"):
            train(recipe, output=world / "run")


def test_with_share_0_nothing_changes_bit_for_bit(
    world: Path, write_recipe: Write, taught: dict[str, Any], noisy: Path
) -> None:
    without = train(write_recipe("without", **taught), output=world / "without")
    none = write_recipe("none", data={"noisy": str(noisy), "noisy_share": 0}, **taught)
    assert same(weights(without), weights(train(none, output=world / "none")))


def test_recordings_that_changed_are_noticed(
    world: Path, write_recipe: Write, taught: dict[str, Any], noisy: Path
) -> None:
    recipe = write_recipe(data={"noisy": str(noisy)}, **taught)
    train(recipe, output=world / "run")
    save(noisy / "1.wav", noise(0.5, 7, 44_100), 44_100)
    with pytest.raises(UserError, match=r"begun with other data or teachers: data\.noisy/1\.wav"):
        train(recipe, output=world / "run")


def test_recordings_from_which_nothing_is_learnt_are_refused(
    world: Path, write_recipe: Write, taught: dict[str, Any], noisy: Path
) -> None:
    clean_alone = {**taught, "objectives": [{"loss": "l2", "keep": 0.5}, {"loss": "l2", "target": "clean"}]}
    for changes, words in (
        (clean_alone, "every term needs clean speech, so nothing is learnt from data.noisy"),
        ({}, "every term needs clean speech"),
        (
            {"teacher": taught["teacher"], "kdrl": {}},
            "kdrl needs the clean speech of every clip; take out data",
        ),
        ({**taught, "optimiser": {"batch_size": 1}}, "a batch of one clip has no room for recordings"),
    ):
        with pytest.raises(UserError, match=words):
            train(write_recipe(data={"noisy": str(noisy)}, **changes), output=world / "run")
    assert not (world / "run").exists()
