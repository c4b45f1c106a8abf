"""Several teachers in one run: live and kept, with every objective over signals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.models.presets import build_model
from sedistill.models.saving import load_model, read_card, save_model
from sedistill.training.own_teachers import bandwidth
from sedistill.training.patch_record.record import read_patch_record
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run import train
from sedistill.training.run_folder.logs import read_metrics
from tests.training.conftest import TINY_NETWORK

OBJECTIVES = [
    {"loss": "l2"},
    {"loss": "dfkd", "keep": 0.8, "patches": "multi-scale"},
    {"loss": "l1", "gate": "teacher_over_noisy"},
    {"loss": "si_snr"},
    {"loss": "clean_and_noise"},
    {"loss": "kl"},
    {"loss": "subband", "target": "teacher"},
]


@pytest.fixture
def teachers(world: Path) -> dict[str, str]:
    """Two saved models."""
    torch.manual_seed(7)
    save_model(build_model({**TINY_NETWORK, "filters": 10}), world / "other", {"output_gain": -1.1})
    return {"a": str(world / "teacher"), "b": str(world / "other")}


@pytest.fixture
def run(world: Path, write_recipe: Callable[..., Path]) -> Callable[..., Path]:
    """Train for an epoch; returns the run's folder."""

    def trained(name: str, **keys: Any) -> Path:
        recipe = write_recipe(name, **{"optimiser": {"batch_size": 4, "max_epochs": 1}, **keys})
        return train(recipe, output=world / name).parent

    return trained


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "student").state_dict()


@pytest.mark.parametrize("rule", ["best", "mean", "bands"])
def test_one_teacher_twice_trains_the_same_student(run: Callable, world: Path, rule: str) -> None:
    keys = {"objectives": OBJECTIVES}
    one = run("one", teacher=str(world / "teacher"), **keys)
    edges = {"several_edges_hz": [3_000]} if rule == "bands" else {}
    twice = {"a": str(world / "teacher"), "b": str(world / "teacher")}
    two = run("two", teachers=twice, several=rule, **edges, **keys)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weights(two)[name], weight, atol=2e-4, rtol=1e-2)


@pytest.mark.parametrize("rule", ["best", "mean"])
def test_kept_and_live_teach_the_same(run: Callable, world: Path, teachers: dict, rule: str) -> None:
    keys = {"teachers": teachers, "several": rule, "objectives": OBJECTIVES[:4]}
    kept, live = run("kept", **keys), run("live", teacher_use={"cache": "never"}, **keys)
    assert len(list((world / "train" / "teacher-outputs").iterdir())) == 2  # each by its own hash
    logged, of_kept = read_metrics(live), read_metrics(kept)
    for name in logged:
        if name.startswith("kd/"):  # within rounding to float16, and what that chooses otherwise
            assert of_kept[name][0][1] == pytest.approx(logged[name][0][1], rel=5e-3)
    chosen = {name for name in logged if "chosen" in name}
    names = ("l2", "dfkd+dispatch+mssp", "l1+teacher_over_noisy", "teacher")
    assert chosen == ({f"{one}/chosen_{n}" for one in names for n in "ab"} if rule == "best" else set())
    for one in chosen and names:
        assert logged[f"{one}/chosen_a"][0][1] + logged[f"{one}/chosen_b"][0][1] == pytest.approx(1)


def test_what_is_said_of_them(run: Callable, teachers: dict, capsys: pytest.CaptureFixture) -> None:
    record = {"clips": 2, "every_steps": 1}
    folder = run("run", teachers=teachers, objectives=[OBJECTIVES[1]], patch_record=record)
    told = capsys.readouterr().out
    assert "whoever of a, b is nearest to the clean speech" in " ".join(told.split())
    assert told.count("worse than the noisy input") == 2
    assert read_card(folder / "student")["training"]["several"] == "best"
    models = yaml.safe_load((folder / "identity.yaml").read_text())["models"]
    assert set(models) == {"teachers.a", "teachers.b"}
    assert read_patch_record(folder).selections == 3


def test_a_run_goes_on_with_no_other_teachers(
    run: Callable, world: Path, teachers: dict, capsys: pytest.CaptureFixture
) -> None:
    run("run", teachers=teachers, objectives=[{"loss": "l2"}])
    torch.manual_seed(8)
    save_model(build_model({**TINY_NETWORK, "filters": 10}), world / "other", {}, overwrite=True)
    with pytest.raises(UserError, match=r"teachers\.b"):
        run("run", teachers=teachers, objectives=[{"loss": "l2"}])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"several": "mean"}, "are about `teachers`"),
        ({"teacher": "x", "teachers": {"a": "x"}}, "both given"),
        ({"teachers": {"a": "x", "b": "y"}, "several": "bands"}, "needs 1 edges, not 0"),
        ({"teachers": {"a": "x"}, "several_edges_hz": [300]}, "belongs to several: bands"),
        ({"teachers": {"a/b": "x"}}, "no name"),
        ({"teachers": {"a": {"onnx": "x", "rat": 5}}}, "rat"),
        ({"teachers": {"a": "x"}, "objectives": [{"loss": "gram", "pairs": [["x", "x"]]}]}, "looks into one"),
        ({"teachers": {"a": "x"}, "kdrl": {}}, "kdrl needs a teacher"),
    ],
)
def test_what_cannot_be_meant_is_refused(write_recipe: Callable, keys: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_settings(Recipe, write_recipe("run", **keys))


def test_edges_above_the_data_are_refused(run: Callable, teachers: dict) -> None:
    with pytest.raises(UserError, match="several_edges_hz: edges of 9000 Hz"):
        run("run", teachers=teachers, several="bands", several_edges_hz=[9_000], objectives=[{"loss": "l2"}])


def test_the_bandwidth_of_several() -> None:
    from sedistill.distill.several import Several

    class Source:
        def __init__(self, bandwidth: float) -> None:
            self.name, self.bandwidth = "dull", bandwidth

    dull, whole = Source(0.5), Source(1.0)
    both: Any = {"a": dull, "b": whole}
    assert bandwidth(Several("best"), both) == bandwidth(Several("bands", [4_000.0]), both) == 1
    assert bandwidth(Several("mean"), both) == bandwidth(None, {"a": dull}) == 0.5  # type: ignore[dict-item]
    assert bandwidth(None, {}) == 1
    with pytest.raises(UserError, match="dull knows nothing above 4000 Hz, but its band goes to 5000"):
        bandwidth(Several("bands", [5_000.0]), both)
