"""What is finished of a table: the runs of its rows in the output folder, and who taught whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sedistill.workflows.jobs import Run, is_finished
from sedistill.workflows.reproducing.runs import Work, needs, recipe_name, resolved
from sedistill.workflows.reproducing.table import Row, Scale, Table


@dataclass(frozen=True)
class Finished:
    """A view of the output folder, for the result; nothing is kept but recipes."""

    work: Work
    scale: Scale
    output: Path

    @property
    def table(self) -> Table:
        return self.work.table

    def runs_of(self, row: Row) -> list[Run]:
        """The row's runs that are finished, by seed."""
        return [run for run in self.work.runs_of(row) if is_finished(self.output, run)]

    @property
    def runs(self) -> list[Run]:
        """Of all rows, each once."""
        return list(dict.fromkeys(run for row in self.table.rows for run in self.runs_of(row)))

    @cached_property
    def recipes(self) -> Mapping[str, Mapping[str, Any]]:
        """Each row's recipe as the scale has it, chosen or not, by the row's key; empty for a row without."""
        names = {row.key: recipe_name(self.work.paper, row) for row in self.table.rows}
        return {
            key: {} if name is None else resolved(name, self.work.paper, self.scale)
            for key, name in names.items()
        }

    @cached_property
    def teachers(self) -> dict[str, str]:
        """Which row's network taught which row, both by their keys; of several teachers the first."""
        rows = {recipe["name"]: key for key, recipe in self.recipes.items() if recipe}
        needed = {key: needs({"teacher": recipe.get("teacher")}) for key, recipe in self.recipes.items()}
        return {key: rows[run.name] for key, runs in needed.items() for run in runs if run.name in rows}
