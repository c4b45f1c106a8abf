"""Which models are one method: by recipe, by card, by path."""

from pathlib import Path

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.comparing.methods import Trained, method_named, method_names, trained
from sedistill.evaluation.systems import systems_of


def test_recipe_and_seed_come_from_the_evaluation_first() -> None:
    facts = {"folder": "runs/x/seed-3/student", "recipe": "few/kd", "seed": 1}
    assert trained("x", facts) == Trained(("few", "kd"), 1, from_recipe=True)


@pytest.mark.parametrize("name", ["fastenhancer-t", "ready-made:fastenhancer-t"])
def test_a_ready_made_network_goes_by_its_name(name: str, pairs: Path) -> None:
    """Its recipe has another: `compare --teacher fastenhancer-t` did not find it."""
    (system,) = systems_of([name], correct_level=True, pairs=FixedSet(pairs))
    assert trained(system.label, system.facts) == Trained(("fastenhancer-t",), None, from_recipe=False)


def test_then_from_the_card(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "seed-3" / "student"
    folder.mkdir(parents=True)
    card = {"class": "ConvTasNet", "training": {"recipe": "few/kd", "seed": 2}}
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    assert trained("x", {"folder": str(folder)}) == Trained(("few", "kd"), 2, from_recipe=True)
    (folder / "card.yaml").write_text("training: [not, a, mapping]")
    assert trained("x", {"folder": str(folder)}).seed == 3


@pytest.mark.parametrize(
    ("folder", "parts", "seed"),
    [
        ("runs/few/kd/seed-7/student", ("runs", "few", "kd"), 7),
        ("/gone/kd/seed-07", ("gone", "kd"), 7),
        ("./models/best/student", ("models", "best"), None),
        ("student", ("student",), None),
        ("seed-1", ("seed-1",), None),
    ],
)
def test_then_from_the_path(folder: str, parts: tuple[str, ...], seed: int | None) -> None:
    assert trained("x", {"folder": folder}) == Trained(parts, seed, from_recipe=False)


def test_a_network_without_a_folder_goes_by_its_label() -> None:
    assert trained("ConvTasNet", {"folder": None}) == Trained(("ConvTasNet",), None, from_recipe=False)


def test_names_leave_out_what_all_begin_with() -> None:
    models = [Trained(("runs", "few", name), 0, from_recipe=False) for name in ("kd", "alone")]
    assert list(method_names(models).values()) == ["kd", "alone"]
    deeper = [Trained(("a", "b"), 0, False), Trained(("a", "b", "c"), 0, False)]
    assert list(method_names(deeper).values()) == ["b", "b/c"]
    assert method_names([Trained(("a", "b"), 0, False)]) == {("a", "b"): "b"}


def test_a_path_that_ends_in_a_recipes_name_is_that_recipe() -> None:
    recipe, path = Trained(("few", "kd"), 0, True), Trained(("home", "runs", "few", "kd"), 1, False)
    other = Trained(("few", "alone"), 0, True)
    names = method_names([recipe, path, other])
    assert names[path.parts] == names[recipe.parts] == "kd"


def test_a_method_is_found_by_its_whole_name_or_a_unique_end() -> None:
    known = ["alone", "few/kd", "many/kd", "few/l2"]
    assert method_named("alone", known, "baseline") == "alone"
    assert method_named("l2", known, "baseline") == "few/l2"
    with pytest.raises(UserError, match="no baseline aline; did you mean alone"):
        method_named("aline", known, "baseline")
    with pytest.raises(UserError, match="no baseline kd"):
        method_named("kd", known, "baseline")
    with pytest.raises(UserError, match="known are alone, few/kd"):
        method_named("zzzzzz", known, "baseline")


def test_a_model_without_a_recipe_does_not_lengthen_the_names_of_the_others() -> None:
    students = [Trained(("paper", "table", name), 0, True) for name in ("alone", "l2")]
    foreign = Trained(("deepfilternet",), None, False)
    assert set(method_names([*students, foreign]).values()) == {"alone", "l2", "deepfilternet"}


def test_names_that_would_be_one_stay_apart() -> None:
    students = [Trained(("paper", name), 0, True) for name in ("alone", "l2")]
    foreign = [Trained(("alone",), None, False), Trained(("paper/alone",), None, False)]
    found = method_names([*students, *foreign])
    assert found[("paper", "l2")] == "paper/l2"
