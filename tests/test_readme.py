"""What README and docs say, checked against the code: commands, recipes, Python, make targets."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
import yaml

from sedistill.cli import app
from sedistill.common.settings import load_settings
from sedistill.training.recipe.schema import Recipe

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a language, without their common indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in found]


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every line of code that starts with `sedistill`, as the shell would split it."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    for line in re.findall(r"^(?: {4})?(sedistill .*)$", text, re.MULTILINE):
        yield shlex.split(line, comments=True)


def named_recipes(page: Path) -> dict[str, dict[str, Any]]:
    """The YAML blocks that begin with a comment that names a file, by that name."""
    return {text.splitlines()[0].removeprefix("# "): yaml.safe_load(text) for text in blocks(page, "yaml")}


COMMANDS = [
    pytest.param(page, words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for words in command_lines(page)
    if "..." not in words
]
RECIPES = [
    pytest.param(recipe, id=f"{page.name}: {name}")
    for page in PAGES
    for name, recipe in named_recipes(page).items()
]


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 12
    assert len(RECIPES) >= 2


@pytest.mark.parametrize(("page", "words"), COMMANDS)
def test_commands_and_their_options_exist(page: Path, words: list[str], tmp_path: Path) -> None:
    _, name, *arguments = words
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    given = command.make_context(name, arguments).params  # raises where the command line would complain
    if name == "train":
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(named_recipes(page)[str(given["recipe"])]), encoding="utf-8")
        load_settings(Recipe, recipe, given["overrides"] or [])
    if name == "mix":
        from sedistill.data.grid_sets import grid_settings
        from sedistill.data.mixing import mixing_settings

        (grid_settings if given["grid"] else mixing_settings)(given["settings"] or [])


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_read(recipe: dict[str, Any]) -> None:
    Recipe.model_validate(recipe)


def test_three_lines_of_the_readme_run() -> None:
    (code,) = blocks(PAGES[0], "python")
    torch.manual_seed(0)
    student, teacher, clean = torch.randn(3, 2, 4_000)
    names = {"student_wave": student.requires_grad_(), "teacher_wave": teacher, "clean_wave": clean}
    exec(code, values := {**names, "your_loss": (student - clean).square().mean()})
    values["loss"].backward()
    assert values["loss"].isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_what_the_docs_show_is_the_example_of_an_extension() -> None:
    package = ROOT / "examples" / "extension"
    shown = {*blocks(ROOT / "docs" / "extend.md", "python"), *blocks(ROOT / "docs" / "extend.md", "toml")}
    files = [package / "pyproject.toml", *package.glob("sedistill_example/[!_]*.py")]
    assert shown == {file.read_text("utf-8").rstrip() for file in files}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for target in re.findall(r"`make ([a-z]+)|^    make ([a-z]+)", text, re.MULTILINE):
        assert "".join(target) in targets
