"""From the rows of a table to trainings: recipes as a scale changes them, and who needs whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError, nearest
from sedistill.common.settings import merged, read_with_base
from sedistill.workflows.jobs import Run
from sedistill.workflows.reproducing.table import NOISY_ROW, Row, Scale, Table


@dataclass(frozen=True)
class Work:
    """What a table asks for: its rows, every recipe by name, and the trainings in an order that works.

    `chosen` are the rows to train and evaluate; `runs` holds teachers before their students; `paper` is the
    folder of the paper's recipes.
    """

    table: Table
    chosen: Sequence[Row]
    seeds: int
    recipes: Mapping[str, Mapping[str, Any]]
    runs: Sequence[Run]
    paper: Path

    def runs_of(self, row: Row) -> list[Run]:
        """The runs whose scores make a row."""
        name = recipe_name(self.paper, row)
        return (
            []
            if name is None
            else [Run(name, seed) for seed in range(min(self.seeds, row.seeds or self.seeds))]
        )


def plan_work(
    folder: Path, table: Table, scale: Scale, seeds: int, only: Sequence[str] | None = None
) -> Work:
    """Everything to train for a table in `folder`. Raises UserError for unknown rows and recipes."""
    if seeds < 1:
        raise UserError(f"seeds = {seeds}: it must be at least 1.")
    paper = folder.resolve().parent
    chosen = rows_named(table, only)
    work = Work(table, chosen, seeds, {}, [], paper)
    if not table.trains:
        return work
    recipes: dict[str, Mapping[str, Any]] = {}
    graph: dict[Run, list[Run]] = {}
    waiting = [run for row in chosen for run in work.runs_of(row)]
    for run in waiting:
        if run.name not in recipes:
            recipes[run.name] = resolved(run.name, paper, scale)
        graph[run] = needs(recipes[run.name])
        waiting += (needed for needed in graph[run] if needed not in waiting)
    return Work(table, chosen, seeds, recipes, in_order(graph), paper)


def in_order(graph: Mapping[Run, Sequence[Run]]) -> list[Run]:
    """Runs with what each needs, as an order in which they can be trained. Raises UserError for a circle."""
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        names = [run.name for run in error.args[1][1:]]
        raise UserError(
            f"the recipes {' and '.join(names)} wait for each other; mend their `teacher`."
        ) from None


def rows_named(table: Table, only: Sequence[str] | None) -> list[Row]:
    """The rows of these keys in the table's order, or all. Raises UserError naming the nearest key."""
    known = [row.key for row in table.rows]
    for key in only or ():
        if key not in known:
            raise UserError(f"there is no row {key}{nearest(key, known)}")
    return [row for row in table.rows if not only or row.key in only or row.key == NOISY_ROW]


def recipe_name(paper: Path, row: Row) -> str | None:
    """The name of a row's recipe, which is its path from the folder of all papers."""
    return None if row.recipe is None else f"{paper.name}/{row.recipe}"


def resolved(name: str, paper: Path, scale: Scale) -> dict[str, Any]:
    """A recipe as the scale changes it. Raises UserError where its name is not that of its file."""
    inside = name.removeprefix(f"{paper.name}/")
    path = paper / f"{inside}.yaml"
    recipe = read_with_base(path)
    if recipe.get("name") != name:
        raise UserError(f"{path}: its name is {recipe.get('name')}; name it {name}, as its file.")
    preset = recipe.get("student")
    network = scale.networks.get(preset, {}) if isinstance(preset, str) else {}
    for change in (scale.recipe, network, scale.recipes.get(name, {})):
        recipe = merged(recipe, change)
        if "student" in change:
            recipe["student"] = change["student"]
    return recipe


def needs(recipe: Mapping[str, Any]) -> list[Run]:
    """The runs whose students a recipe names: as teacher, as teachers of bands, as where to go on from."""
    named = [recipe.get("teacher"), recipe.get("student")]
    named += [
        folder for objective in recipe.get("objectives") or () for folder in objective.get("teachers", ())
    ]
    found = (Run.of_student(text) for text in named if isinstance(text, str))
    return [run for run in found if run]
