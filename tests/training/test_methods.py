"""Whole runs of the methods that do more than add a term to the loss."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sedistill.common.errors import UserError
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, save_model
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.training.conftest import TINY_NETWORK
from tests.training.runs import assert_resumes_exactly, same, weights

Write = Callable[..., Path]

MANNER = {"class": "MANNER", "channels": 3, "depth": 2, "chunk": 4}
BLOCKS = [["separator.blocks.0", "separator.blocks.0"], ["separator.blocks.1", "separator.blocks.1"]]
FEATURES: dict[str, dict[str, Any]] = {
    "attention": {"loss": "attention", "pairs": BLOCKS},
    "gram": {"loss": "gram", "pairs": BLOCKS, "frames": 20},
    "layer_attention": {
        "loss": "layer_attention", "width": 4,
        "student_layers": ["separator.blocks.1"],
        "teacher_layers": ["separator.blocks.0", "separator.blocks.1"],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_distilled_and_leave_no_trace(write_recipe: Write, world: Path, name: str) -> None:
    recipe = write_recipe(teacher=str(world / "teacher"), objectives=[{"loss": "l2"}, FEATURES[name]])
    student = assert_resumes_exactly(recipe, world, stop_at=4)
    curves = read_metrics(world / "whole")
    assert {"kd/l2", f"kd/{name}"} <= curves.keys()
    assert weights(student).keys() == build_model(TINY_NETWORK).state_dict().keys()
    plain = train(
        write_recipe("plain", teacher=str(world / "teacher"), objectives=[{"loss": "l2"}]), output=world / "p"
    )
    assert not same(weights(plain), weights(student)), "the features made no difference"


def test_maps_of_an_objective_learn_along(write_recipe: Write, world: Path) -> None:
    train(
        write_recipe(teacher=str(world / "teacher"), objectives=[FEATURES["layer_attention"]]),
        output=world / "out",
    )
    first, *_, last = read_metrics(world / "out")["kd/layer_attention"]
    assert last[1] < first[1]
    maps = torch.load(world / "out" / "checkpoints" / "last.ckpt", weights_only=True)["step"]["auxiliary"]
    assert any(name.endswith("queries.0.weight") for name in maps)


@pytest.mark.parametrize("attention", ["all", "deepest"])
def test_multi_view_attention_between_two_manners(write_recipe: Write, world: Path, attention: str) -> None:
    save_model(build_model({**MANNER, "depth": 3, "attention": attention}), world / "manner", {})
    objectives = [{"loss": "multi_view_attention"}, {"loss": "clean_and_noise"}]
    recipe = write_recipe(student=MANNER, teacher=str(world / "manner"), objectives=objectives)
    train(recipe, output=world / "out")
    curves = read_metrics(world / "out")
    assert {"kd/multi_view_attention", "kd/clean_and_noise"} <= curves.keys()
    assert all(value > 0 for _, value in curves["kd/multi_view_attention"])


def test_the_share_of_patches_goes_down_over_the_steps_that_distil(write_recipe: Write, world: Path) -> None:
    scheduled = {"loss": "l2", "keep": 0.25, "keep_schedule": "linear", "rank_over": "batch"}
    kd = {"teacher": str(world / "teacher"), "objectives": [scheduled], "logging": {"every_steps": 1}}
    assert_resumes_exactly(write_recipe(two_step={"kd_steps": 4}, **kd), world, stop_at=2)
    kept = [share for _, share in read_metrics(world / "whole")["l2+dispatch/kept_share"]]
    assert kept == pytest.approx([1.0, 0.75, 0.5, 0.25], abs=0.02)
    longer = write_recipe("longer", **kd)
    train(longer, output=world / "out")
    kept = [share for _, share in read_metrics(world / "out")["l2+dispatch/kept_share"]]
    assert (len(kept), kept[0]) == (9, 1.0)
    assert kept[4] == pytest.approx(0.625, abs=0.02)
    with pytest.raises(UserError, match="cannot be made longer: the share of patches"):
        train(longer, ["optimiser.max_epochs=4"], output=world / "out")


def test_two_steps_are_distillation_alone_and_then_supervision_alone(
    write_recipe: Write, world: Path
) -> None:
    kd = {"teacher": str(world / "teacher"), "objectives": [{"loss": "l2"}]}
    recipe = write_recipe(two_step={"kd_steps": 4}, **kd)
    assert_resumes_exactly(recipe, world, stop_at=6)
    curves = read_metrics(world / "whole")
    assert [step for step, _ in curves["kd/l2"]] == [2, 4]
    assert [step for step, _ in curves["se"]] == [6, 8]
    first = train(
        write_recipe("first", optimiser={"max_steps": 4}, se_weight=0.0, **kd), output=world / "first"
    )
    assert read_metrics(world / "first")["kd/l2"] == curves["kd/l2"]
    assert load_model(first).card["training"]["steps"] == 4


def test_the_second_stage_begins_afresh_unless_moments_are_kept(write_recipe: Write, world: Path) -> None:
    kd = {"teacher": str(world / "teacher"), "objectives": [{"loss": "l2"}]}
    fresh = train(write_recipe("fresh", two_step={"kd_steps": 4}, **kd), output=world / "fresh")
    kept = train(
        write_recipe("kept", two_step={"kd_steps": 4, "keep_optimiser": True}, **kd), output=world / "kept"
    )
    assert not same(weights(fresh), weights(kept))
    assert load_model(fresh).card["training"]["best_step"] > 4


def test_cosine_runs_down_in_each_stage(write_recipe: Write, world: Path) -> None:
    optimiser = {"schedule": "cosine", "max_steps": 8}
    kd = {"teacher": str(world / "teacher"), "objectives": [{"loss": "l2"}]}
    train(write_recipe(two_step={"kd_steps": 4}, optimiser=optimiser, **kd), output=world / "out")
    rates = dict(read_metrics(world / "out")["learning_rate"])
    assert rates[4] == pytest.approx(1e-5)
    assert rates[6] == rates[2] > rates[4] == rates[8]


@pytest.mark.parametrize("cache", ["auto", "never"])
def test_every_band_has_its_teacher(write_recipe: Write, world: Path, cache: str) -> None:
    torch.manual_seed(5)
    save_model(build_model(TINY_NETWORK), world / "upper", {})
    objectives = [{"loss": "subband", "bands": 2, "teachers": [str(world / "teacher"), str(world / "upper")]}]
    recipe = write_recipe(objectives=objectives, teacher_use={"cache": cache})
    train(recipe, output=world / "out")
    curve = read_metrics(world / "out")["kd/subband"]
    assert len(curve) == 4
    kept = list((world / "train").glob("teacher-outputs/teacher-*/outputs.yaml"))
    assert len(kept) == (2 if cache == "auto" else 0)


@pytest.mark.parametrize(
    "settings", [{"method": "C"}, {"method": "A", "reference_optimiser": "own"}, {"method": "fixed"}]
)
def test_kdrl_resumes_with_its_policy(write_recipe: Write, world: Path, settings: dict[str, Any]) -> None:
    kdrl = settings if settings["method"] == "fixed" else {"policy_learning_rate": 1e-3, **settings}
    recipe = write_recipe(teacher=str(world / "teacher"), kdrl=kdrl)
    assert_resumes_exactly(recipe, world, stop_at=5)
    if settings["method"] == "fixed":
        assert not (world / "whole" / "ratios.csv").exists()
        return
    rows, resumed = (list(csv.reader((world / run / "ratios.csv").open())) for run in ("whole", "parts"))
    assert rows == resumed
    assert len(rows) == 1 + 9 * 4, "a ratio for each clip of each step"
    assert len({row[1] for row in rows[1:]}) == 12
    assert "<svg" in (world / "whole" / "ratios.svg").read_text()


def test_fixed_ratio_is_the_weighted_sum_of_both_distances(write_recipe: Write, world: Path) -> None:
    teacher = str(world / "teacher")
    by_kdrl = train(
        write_recipe("kdrl", teacher=teacher, kdrl={"method": "fixed", "ratio": 0.25}), output=world / "k"
    )
    terms = {"se_weight": 0.75, "kd_weight": 0.25, "kd_level_db": None, "objectives": [{"loss": "si_snr"}]}
    by_terms = train(write_recipe("terms", teacher=teacher, **terms), output=world / "t")
    for name, value in weights(by_terms).items():
        torch.testing.assert_close(weights(by_kdrl)[name], value, atol=1e-5, rtol=1e-3)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a tap that names no module": (
        {"objectives": [{"loss": "attention", "pairs": [["separator.block.0", "separator.blocks.0"]]}]},
        r"the student has no module 'separator.block.0'; near are separator.blocks.0",
    ),
    "a tap inside a fused block": (
        {"objectives": [{"loss": "gram", "pairs": [["separator.blocks.0.body.0", "separator.blocks.0"]]}]},
        r"'separator.blocks.0.body.0' did not run",
    ),
    "no attention block in the student": (
        {"objectives": [{"loss": "multi_view_attention"}]}, "the student has no .*attention",
    ),
    "a student deeper than its teacher": (
        {"student": {**MANNER, "depth": 3}, "teacher": "manner",
         "objectives": [{"loss": "multi_view_attention"}]},
        "deeper",
    ),
    "features without a teacher": (
        {"teacher": None, "objectives": [FEATURES["gram"]]}, "`teacher` is missing",
    ),
    "kdrl for a student with a spectral loss": ({"student": MANNER, "kdrl": {}}, "kdrl.distance = own"),
    "two steps that never reach the second": (
        {"two_step": {"kd_steps": 9}, "objectives": [{"loss": "l2"}]}, "leaves nothing of the 9 steps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_written(
    write_recipe: Write, world: Path, case: str
) -> None:
    changes, words = REFUSED[case]
    save_model(build_model(MANNER), world / "manner", {})
    teacher = changes.get("teacher", "teacher")
    recipe = write_recipe(**{**changes, "teacher": teacher and str(world / teacher)})
    with pytest.raises(UserError, match=words) as error:
        train(recipe, output=world / "out")
    assert "\n" not in str(error.value)
    assert not (world / "out").exists()


def test_config_holds_every_default_of_an_objective(write_recipe: Write, world: Path) -> None:
    train(write_recipe(teacher=str(world / "teacher"), objectives=[FEATURES["gram"]]), output=world / "out")
    written = yaml.safe_load((world / "out" / "config.yaml").read_text())["recipe"]["objectives"][0]
    assert written == {
        "weight": 1.0, **FEATURES["gram"], "gram": "frames", "student_time_dim": -1, "teacher_time_dim": -1,
    }  # fmt: skip
