"""Recipes: every mistake is one sentence that names the key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.training.recipe.schema import Recipe

GOOD: dict[str, Any] = {"name": "r", "student": "convtasnet-tiny", "data": {"train": "a", "valid": "b"}}


def read(tmp_path: Path, overrides: tuple[str, ...] = (), **changes: Any) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}), encoding="utf-8")
    return load_settings(Recipe, path, overrides)


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    recipe = read(tmp_path)
    optimiser = recipe.optimiser
    assert (optimiser.learning_rate, optimiser.halve_after, optimiser.stop_after) == (1e-3, 3, 10)
    assert (optimiser.clip_norm, optimiser.batch_size, optimiser.max_epochs) == (5.0, 16, 100)
    assert (recipe.se_weight, recipe.kd_weight) == (0.5, 0.5)
    assert not recipe.distils


def test_the_sign_s_earlier_name_is_read(tmp_path: Path) -> None:
    assert read(tmp_path).correct_sign
    assert not read(tmp_path, upright=False).correct_sign
    assert not read(tmp_path, ("upright=false",)).correct_sign
    with pytest.raises(UserError, match="unknown key upright"):
        read(tmp_path, upright=False, correct_sign=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"se_wieght": 1}, "unknown key se_wieght; did you mean se_weight?"),
        ({"optimiser": {"lerning_rate": 1}}, "did you mean learning_rate"),
        ({"objectives": [{"loss": "l2", "kep": 0.5}]}, "objectives.0.kep; did you mean keep"),
        ({"objectives": [{"loss": "l2", "keep": 0}]}, r"objectives.0.keep = 0"),
        ({"objectives": [{"loss": "l2", "keep": 1.5}]}, r"objectives.0.keep = 1.5"),
        ({"objectives": [{"loss": "l2", "patch_size": 300}]}, "objectives.0.patch_size = 300"),
        ({"objectives": [{"loss": "l2", "beta": 0.5}]}, "beta belongs to loss: dfkd"),
        ({"objectives": [{"loss": "l2", "reduction": "bands"}]}, "reduction belongs to loss: dfkd"),
        ({"objectives": [{"loss": "dfkd", "low_patch_size": 5}]}, "low_patch_size belongs to patches"),
        ({"objectives": [{"loss": "l2", "scan": "descending"}]}, "scan and min_bin belong to dfkd"),
        (
            {"objectives": [{"loss": "si_snr", "keep": 0.5}]},
            "keep does not go with si_snr: .* has no patches",
        ),
        ({"objectives": [{"loss": "si_snr", "patches": "uniform"}]}, "patches does not go with si_snr"),
        (
            {"objectives": [{"loss": "kl", "keep": 0.5}]},
            "no independent bins to select; loss: kl_generalized",
        ),
        (
            {"objectives": [{"loss": "kl", "distribution": "normalized", "temperature": 2}]},
            "belongs to distribution",
        ),
        ({"objectives": [{"loss": "l3"}]}, "objectives.0.loss = l3 is unknown; did you mean l2?"),
        ({"objectives": [{"loss": "xyz"}]}, "objectives.0.loss = xyz is unknown; known are attention, "),
        ({"objectives": [{"weight": 1}]}, "objectives.0.loss is missing"),
        ({"objectives": ["l2"]}, "objectives.0"),
        ({"objectives": [{"loss": "gram"}]}, "objectives.0.pairs is missing"),
        ({"objectives": [{"loss": "gram", "pairs": []}]}, "objectives.0.pairs"),
        (
            {"objectives": [{"loss": "attention", "pairs": [["a", "b"]], "dual_depth": True}]},
            "unknown key objectives.0.dual_depth; ",
        ),
        (
            {"objectives": [{"loss": "multi_view_attention", "pairs": [["a", "b"]], "dual_depth": True}]},
            "find pairs by depth",
        ),
        ({"objectives": [{"loss": "multi_view_attention", "views": ["focal"]}]}, "objectives.0.views"),
        ({"objectives": [{"loss": "subband"}]}, "4 bands goes with 4 teachers, not 0"),
        (
            {"objectives": [{"loss": "subband", "target": "clean", "teachers": ["a"]}]},
            "goes with 0 teachers, not 1",
        ),
        ({"se_loss": "si_snrr"}, "se_loss: there is no enhancement loss 'si_snrr'; did you mean si_snr?"),
        ({"se_loss": "mse", "kdrl": {}, "teacher": "t"}, "take out se_loss or kdrl"),
        ({"pesq_weight": 0.1, "kdrl": {}, "teacher": "t"}, "take out pesq_weight or kdrl"),
        ({"kdrl": {"method": "D"}, "teacher": "t"}, "kdrl.method = D"),
        ({"kdrl": {"ratio": 0.5}, "teacher": "t"}, "kdrl: ratio belongs to method: fixed"),
        ({"kdrl": {}}, "kdrl needs a teacher"),
        ({"kdrl": {}, "teacher": "t", "hardware": {"compile": True}}, "hardware.compile is not made"),
        ({"kdrl": {}, "teacher": "t", "objectives": [{"loss": "l2"}]}, "take out objectives or kdrl"),
        ({"kdrl": {}, "teacher": "t", "se_weight": 1}, "take out se_weight or kdrl"),
        ({"two_step": {"kd_steps": 5}}, "two_step begins with distillation"),
        ({"two_step": {"kd_steps": 5}, "objectives": [{"loss": "l2"}], "se_weight": 0}, "two_step ends with"),
        (
            {"two_step": {"kd_steps": 5}, "objectives": [{"loss": "l2"}], "optimiser": {"max_steps": 5}},
            "leaves nothing of max_steps = 5",
        ),
        ({"kd_weight": -1}, "kd_weight = -1"),
        ({"se_weight": "much"}, "se_weight = much"),
        ({"se_weight": 0}, "nothing would be learnt"),
        (
            {"optimiser": {"schedule": "one_cycle", "max_steps": 9, "warmup_steps": 1}},
            "a rise of its own; take out warmup_steps",
        ),
        ({"data": {"train": "a"}}, "data.valid is missing"),
        ({"data": {"train": "a", "valid": "b", "mixing": {"clip_seconds": 0}}}, "clip_seconds"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "recipe.yaml") in str(error.value)


def test_any_key_can_be_overridden(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        ("seed=3", "optimiser.learning_rate=5e-4", "objectives.0.keep=0.5", "hardware.threads=1"),
        objectives=[{"loss": "l2"}],
    )
    assert recipe.seed == 3
    assert recipe.optimiser.learning_rate == 5e-4
    assert recipe.objectives[0].keep == 0.5


@pytest.mark.parametrize("override", ["seed", "=3", "objectives.7.keep=1", "name.x=1"])
def test_bad_overrides_are_named(tmp_path: Path, override: str) -> None:
    with pytest.raises(UserError, match=override):
        read(tmp_path, (override,), objectives=[{"loss": "l2"}])


def test_a_recipe_can_be_a_small_difference_to_a_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**GOOD, "optimiser": {"batch_size": 3}}))
    (tmp_path / "diff.yaml").write_text("base: base.yaml\nname: other\noptimiser: {clip_norm: 1}\n")
    recipe = load_settings(Recipe, tmp_path / "diff.yaml")
    assert (recipe.name, recipe.student) == ("other", "convtasnet-tiny")
    assert (recipe.optimiser.batch_size, recipe.optimiser.clip_norm) == (3, 1)


@pytest.mark.parametrize("text", ["just words", "a: [1", "\x00"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserError, match=r"r\.yaml"):
        load_settings(Recipe, tmp_path / "r.yaml")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml does not exist"):
        load_settings(Recipe, tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder, not a file; give the path of a YAML file"):
        load_settings(Recipe, tmp_path)


def test_the_cache_is_switched_off_by_a_word_that_yaml_leaves_a_word(tmp_path: Path) -> None:
    assert read(tmp_path, ("teacher_use.cache=never",)).teacher_use.cache == "never"
