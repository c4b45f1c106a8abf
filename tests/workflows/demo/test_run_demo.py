"""The demo in miniature: every station, an interruption in its middle, and what it refuses."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model
from sedistill.workflows.demo import demo_folder as folder
from sedistill.workflows.demo import report_data
from sedistill.workflows.demo import run_demo as demo

TINY = {"class": "FastEnhancer", "channels": 4, "convolutions": 1, "blocks": 1, "units": 4, "bands": 4}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's own code with a few seconds of work; returns where it may write."""
    for package in ("espeakng_loader", "pesq", "pystoi", "tensorboard"):
        pytest.importorskip(package)
    recipes = tmp_path / "recipes"
    shutil.copytree(demo.RECIPES, recipes)
    for path in recipes.glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "student" in recipe:
            recipe["student"] = TINY
        if "optimiser" in recipe:
            recipe["optimiser"] |= {"batch_size": 4, "warmup_steps": 1, "max_steps": 6}
        if path.stem == "base":
            recipe["hardware"]["threads"] = 1
            recipe["logging"] |= {"every_steps": 2, "gradients_every_steps": 2}
        path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    teacher = tmp_path / "teacher"
    save_model(build_model({**TINY, "channels": 8}), teacher, {})
    recipe = yaml.safe_load((recipes / "distilled.yaml").read_text(encoding="utf-8"))
    (recipes / "distilled.yaml").write_text(yaml.safe_dump({**recipe, "teacher": str(teacher)}))
    for module in (folder, report_data):
        monkeypatch.setattr(module, "TEACHER", str(teacher))
    sets = {"train": (12, 0.5), "valid": (4, 0.5), "test": (4, 1.0)}
    for module in (folder, demo):
        monkeypatch.setattr(module, "RECIPES", recipes)
    for module in (folder, demo, report_data):
        monkeypatch.setattr(module, "SETS", sets)
    return tmp_path / "demo"


def test_the_whole_demo_even_when_interrupted(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: folder.Demo) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            demo.make_demo(small)
    weights = small / "runs" / "distilled" / "student" / "model.safetensors"
    first = {path: path.stat().st_mtime_ns for path in (weights, *(small / "recordings").rglob("*.flac"))}
    assert not (small / "report.html").exists()

    page = demo.make_demo(small)

    assert first == {path: path.stat().st_mtime_ns for path in first}, "what was finished is made again"
    said = capsys.readouterr().out
    assert "Going on with the demo" in said
    assert "[6/6]" in said
    assert str(page.absolute()) in said
    assert "say little" in said
    check_page(page.read_text(encoding="utf-8"))
    assert (small / "enhanced.flac").stat().st_size > 0


def check_page(page: str) -> None:
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    for name in ("noisy input", "student alone", "distilled student", "teacher", "what the teacher teaches"):
        assert name in text
    assert text.count("n = 4") == 3
    assert page.count('src="data:audio/wav') % 5 == 0
    assert 'src="data:audio/wav' in page
    assert "nan" not in text.lower().split()
    assert len(page) < 15e6


def test_both_students_differ_in_nothing_but_the_teacher() -> None:
    from sedistill.common.settings import load_settings
    from sedistill.training.recipe.schema import Recipe

    paths = ["data.train=t", "data.valid=v"]
    alone = load_settings(Recipe, demo.RECIPES / "alone.yaml", paths)
    distilled = load_settings(Recipe, demo.RECIPES / "distilled.yaml", paths)
    differing = {k for k, v in alone.model_dump().items() if v != distilled.model_dump()[k]}
    assert differing == {"name", "teacher", "objectives", "kd_over_se"}
    (objective,) = distilled.objectives
    assert (objective.loss, objective.power) == ("complex_l2", 0.3)
    assert objective.keep < 1


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="holds something else"):
            demo.make_demo(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_demo_of_other_code_is_replaced_only_when_asked(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    place.mkdir()
    written = {"made_by": {"sedistill": "0.0.1", "recipes": "x"}, "seed": 0, "minutes": {}}
    (place / folder.MARKER).write_text(yaml.safe_dump(written))
    (place / "old").touch()
    with pytest.raises(UserError, match="demo of other code"):
        folder.Demo(place).claim(overwrite=False)
    folder.Demo(place).claim(overwrite=True)
    assert [path.name for path in place.iterdir()] == [folder.MARKER]


def test_a_missing_package_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(UserError, match=r"needs pystoi; type: pip install 'sedistill\[demo\]'"):
        demo.make_demo(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
