"""Whole runs: they finish, resume exactly, and refuse what cannot work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sedistill.audio.pesq_hearing import pesq_distance
from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.saving import load_model
from sedistill.teachers.saved import SavedTeacher
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.training.runs import assert_resumes_exactly, begin_training, same, wait_for, weights

Write = Callable[..., Path]


def test_plain_run_leaves_a_student_and_its_record(write_recipe: Write, world: Path) -> None:
    student = train(write_recipe(licences={"data": "CC BY 4.0"}), output=world / "out")
    assert student == world / "out" / "student"
    card = load_model(student).card
    assert card["licences"] == {"code": "MIT", "weights": "not stated", "data": "CC BY 4.0"}
    assert card["training"]["steps"] == 9
    assert card["training"]["teacher_hash"] is None
    curves = read_metrics(world / "out")
    assert [step for step, _ in curves["se"]] == [2, 4, 6, 8]
    assert [step for step, _ in curves["valid/se"]] == [3, 6, 9]
    assert not any(name.startswith(("kd/", "gradient/kd")) for name in curves)
    config = yaml.safe_load((world / "out" / "config.yaml").read_text())
    assert config["recipe"]["optimiser"]["clip_norm"] == 5.0


def test_distilled_run_logs_every_part(write_recipe: Write, world: Path, distilled: dict[str, Any]) -> None:
    train(write_recipe(**distilled), output=world / "out")
    names = set(read_metrics(world / "out"))
    name = "dfkd+dispatch+mssp"
    assert {"se", f"kd/{name}", f"{name}/positive_gap_share", f"{name}/kept_share"} <= names
    assert {f"{name}/crossover_q{q}" for q in (25, 50, 75)} <= names
    assert {"gradient/norm", "gradient/clipped_share", "gradient/kd_over_se", "gradient/cosine"} <= names
    assert list((world / "out" / "tensorboard").iterdir())


def test_kd_weight_zero_is_training_without_a_teacher_bit_for_bit(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    plain = train(write_recipe("plain"), output=world / "plain")
    zero = train(write_recipe("zero", kd_weight=0.0, **distilled), output=world / "zero")
    assert same(weights(plain), weights(zero))


def test_teacher_does_not_move(write_recipe: Write, world: Path, distilled: dict[str, Any]) -> None:
    before = SavedTeacher(world / "teacher").hash
    live = train(write_recipe("live", teacher_use={"cache": "never"}, **distilled), output=world / "live")
    assert SavedTeacher(world / "teacher").hash == before
    assert load_model(live).card["training"]["teacher_hash"] == before


def test_kept_teacher_outputs_train_like_a_live_teacher(
    write_recipe: Write, world: Path, distilled: dict[str, Any]
) -> None:
    live = train(write_recipe("live", teacher_use={"cache": "never"}, **distilled), output=world / "live")
    kept = train(write_recipe("kept", **distilled), output=world / "kept")
    for name, value in weights(live).items():
        torch.testing.assert_close(weights(kept)[name], value, atol=2e-3, rtol=0)


def test_workers_change_nothing(write_recipe: Write, world: Path, distilled: dict[str, Any]) -> None:
    one = train(write_recipe("one", **distilled), output=world / "one")
    other = train(write_recipe("other", **distilled), ["data.workers=2"], output=world / "other")
    assert same(weights(one), weights(other))


@pytest.mark.parametrize("stop_at", [1, 3, 4])
@pytest.mark.parametrize("score", ["kgs", "random"])
def test_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    write_recipe: Write, world: Path, stop_at: int, score: str
) -> None:
    objectives = [{"loss": "l2", "keep": 0.5, "score": score}]
    recipe = write_recipe(teacher=str(world / "teacher"), objectives=objectives)
    assert_resumes_exactly(recipe, world, stop_at)


def test_killed_run_resumes_bit_for_bit(write_recipe: Write, world: Path, distilled: dict[str, Any]) -> None:
    """kill -9 in the middle of an epoch, in a process of its own."""
    recipe = write_recipe(
        optimiser={"max_epochs": 20}, logging={"checkpoint_minutes": 1e-6, "every_steps": 1}, **distilled
    )
    whole = train(recipe, output=world / "whole")
    process = begin_training(recipe, world / "parts")
    wait_for(world / "parts" / "metrics.csv", "\n10,")
    process.kill()
    process.join()
    assert not (world / "parts" / "student").exists(), "the run was over before it could be killed"
    assert same(weights(whole), weights(train(recipe, output=world / "parts")))


def test_finished_run_is_left_alone(write_recipe: Write, world: Path, capsys: pytest.CaptureFixture) -> None:
    recipe = write_recipe()
    first = train(recipe, output=world / "out")
    written = (first / "model.safetensors").stat().st_mtime_ns
    train(recipe, output=world / "out")
    assert "is finished" in capsys.readouterr().out
    assert (first / "model.safetensors").stat().st_mtime_ns == written


def test_plan_announces_and_writes_nothing(
    write_recipe: Write, world: Path, distilled: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    train(write_recipe(**distilled), output=world / "out", plan_only=True)
    text = "".join(capsys.readouterr().out.split())  # a narrow terminal folds long paths
    for words in ("parameters", "frozen, eval mode", "0.5 x enhancement loss", "dfkd+dispatch+mssp",
                  "12 clips", "at most 9", "cpu, 32-true", str(world / "out"), "0.800"):  # fmt: skip
        assert words.replace(" ", "") in text
    assert not (world / "out").exists()


def test_same_seed_same_start(write_recipe: Write, world: Path, distilled: dict[str, Any]) -> None:
    starts = []
    for name, changes in (("plain", {}), ("kd", distilled)):
        from sedistill.training.run import prepare_run

        run = prepare_run(load_settings(Recipe, write_recipe(name, **changes)))
        starts.append({k: v.clone() for k, v in run.student.state_dict().items()})
    assert same(*starts)


def test_bf16_switch_is_obeyed(write_recipe: Write, world: Path) -> None:
    student = train(write_recipe(hardware={"precision": "bf16-mixed"}), output=world / "bf16")
    assert all(torch.isfinite(value).all() for value in weights(student).values())
    plain = train(write_recipe("fp32"), output=world / "fp32")
    assert not same(weights(student), weights(plain))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"train": "nowhere", "valid": "nowhere"}}, "nowhere does not exist"),
        ({"data": {"valid": "a-corpus"}}, "a-corpus is a corpus; a fixed set is needed"),
        ({"optimiser": {"batch_size": 64}}, "lower optimiser.batch_size"),
        ({"teacher": "no-teacher", "objectives": [{"loss": "l2"}]}, "no-teacher"),
        ({"objectives": [{"loss": "l2"}]}, "needs a teacher"),
        ({"student": "convtasnet-tinny"}, "convtasnet-tiny"),
    ],
)
def test_mistakes_are_named_before_the_first_step(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(world)
    Path("a-corpus").mkdir()
    Path("a-corpus/corpus.yaml").touch()
    with pytest.raises(UserError, match=words):
        train(write_recipe(**changes), output=world / "out")
    assert not (world / "out").exists()


def test_teacher_for_another_rate_is_refused(write_recipe: Write, world: Path, distilled: dict) -> None:
    from sedistill.models.presets import build_model
    from sedistill.models.saving import save_model
    from tests.training.conftest import TINY_NETWORK

    save_model(build_model({**TINY_NETWORK, "sample_rate": 8_000}), world / "narrow")
    with pytest.raises(UserError, match="8000 Hz but the data have 16000 Hz"):
        train(write_recipe(**{**distilled, "teacher": str(world / "narrow")}), output=world / "out")


def test_folder_of_another_recipe_is_refused(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe()
    train(recipe, output=world / "out")
    with pytest.raises(UserError, match="other settings"):
        train(recipe, ["optimiser.clip_norm=1"], output=world / "out")


def test_damaged_checkpoint_is_named(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe()
    student = train(recipe, output=world / "out")
    for path in (student / "card.yaml", student / "model.safetensors"):
        path.unlink()
    last = world / "out" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        train(recipe, output=world / "out")


def test_a_full_disk_is_one_sentence_and_leaves_no_half_checkpoint(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="disk is full"):
        train(write_recipe(), output=world / "out")
    assert not (world / "out" / "checkpoints").exists()


def test_whole_sentences_are_trained_on_in_crops(write_recipe: Write, world: Path) -> None:
    data = {"train": str(world / "train"), "valid": str(world / "valid"), "crop_seconds": 0.1}
    assert train(write_recipe(data=data), output=world / "out").exists()


def test_crops_are_for_fixed_sets(write_recipe: Write, world: Path) -> None:
    (world / "corpus").mkdir()
    (world / "corpus" / "corpus.yaml").write_text("")
    data = {"train": str(world / "corpus"), "valid": str(world / "valid"), "crop_seconds": 0.1}
    with pytest.raises(UserError, match=r"use data\.mixing\.clip_seconds"):
        train(write_recipe(data=data), output=world / "out")


def test_a_recipe_may_choose_the_enhancement_loss(write_recipe: Write, world: Path) -> None:
    train(write_recipe(se_loss="mse"), output=world / "mse")
    assert all(0 < value < 0.1 for _, value in read_metrics(world / "mse")["valid/se"])
    named = train(write_recipe("named", se_loss="si_snr"), output=world / "named")
    assert same(weights(named), weights(train(write_recipe("own"), output=world / "own")))


def test_what_pesq_hears_is_added_to_the_own_loss(write_recipe: Write, world: Path) -> None:
    student = train(write_recipe(se_loss="mse", pesq_weight=0.5), output=world / "run")
    card, network, losses = load_model(student).card, load_model(student), []
    assert card["training"]["loss"] == "mse + 0.5 pesq"
    for noisy, clean in FixedSet(world / "valid"):
        estimate, target = network(torch.from_numpy(noisy)[None]), torch.from_numpy(clean)[None]
        losses.append(((estimate - target).square().mean() + 0.5 * pesq_distance(estimate, target)).item())
    assert card["metrics"]["validation_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_pesq_hears_16_khz_alone(write_recipe: Write, world: Path) -> None:
    student = {"class": "ConvTasNet", "filters": 8, "filter_length": 32, "sample_rate": 8000}
    with pytest.raises(UserError, match=r"pesq_weight = 0\.5: PESQ hears 16000 Hz, and the .* at 8000 Hz"):
        train(write_recipe(student=student, pesq_weight=0.5), output=world / "run", plan_only=True)
