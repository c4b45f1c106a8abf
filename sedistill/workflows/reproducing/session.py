"""One command on one table: what it was asked, what follows from that, and the work itself."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.settings import load_settings
from sedistill.common.wording import counted
from sedistill.common.writing import exclusive_lock, refuse_impossible, refuse_inside, write_whole
from sedistill.common.yaml_files import yaml_text
from sedistill.evaluation.metrics import metrics_named
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.config import refuse_another_recipe
from sedistill.training.run_folder.identity import refuse_another_identity
from sedistill.workflows.jobs import Run, Trainings, is_finished, train_command
from sedistill.workflows.reproducing.evaluations import evaluate_model, evaluate_noisy, evaluate_run
from sedistill.workflows.reproducing.finished import Finished
from sedistill.workflows.reproducing.missing_data import missing
from sedistill.workflows.reproducing.planning import make_plan, print_plan
from sedistill.workflows.reproducing.runs import Work, needs, plan_work
from sedistill.workflows.reproducing.sources import Sources, corpora_of, sources_of
from sedistill.workflows.reproducing.step_time import threads_for
from sedistill.workflows.reproducing.table import Scale, ScaleName, Table

RECIPES, LOCK = "recipes", ".reproduce.lock"


@dataclass
class Session:
    """Arguments as `reproduce` takes them; `table` is that of `folder`, with a row of the noisy input."""

    folder: Path
    table: Table
    scale_name: ScaleName
    data: Path | str | None
    place: Path | str | None
    seeds: int
    only: Sequence[str] | None
    jobs: int
    changes: Sequence[str]

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UserError(f"jobs = {self.jobs}: it must be at least 1.")
        self.folder = self.folder.resolve()
        self.scale = self.table.scales.get(self.scale_name, Scale())
        self.work: Work = plan_work(self.folder, self.table, self.scale, self.seeds, self.only)
        default = Path("reproduced") / f"{self.folder.parent.name}-{self.scale_name}"
        self.output = Path(self.place) if self.place is not None else default
        refuse_impossible(self.output)
        if self.data is not None:
            refuse_inside(self.output, [Path(self.data)], replaced=False)
        self.sources = Sources(self._data_folder(), self.output, self.scale)
        for metrics in self.scored_sets.values():
            metrics_named(metrics)

    @property
    def is_small(self) -> bool:
        """Whether the result is one of small stand-ins."""
        return self.scale_name == "small" and self.table.trains

    @property
    def name(self) -> str:
        """PAPER/TABLE."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def threads(self) -> int:
        """Of each training at most: its share of the cores."""
        return max(1, usable_cores() // self.jobs)

    @property
    def headline(self) -> str:
        """What is being done, in one line."""
        rows = "" if self.only is None else f", rows {', '.join(self.only)}"
        return (
            f"{self.name} at {self.scale_name} scale, {counted(self.seeds, 'seed')}{rows}, in {self.output}"
        )

    @cached_property
    def scored_sets(self) -> dict[str, list[str]]:
        """The sets to score on that can be had, and the metrics of each."""
        wanted: dict[str, dict[str, None]] = {}
        for view in self.table.views.values():
            if view.is_scored and view.set is not None and self.sources.has(view.set):
                wanted.setdefault(view.set, {}).update(dict.fromkeys(view.metrics))
        return {name: list(metrics) for name, metrics in wanted.items()}

    @property
    def finished(self) -> Finished:
        """What the result is made from."""
        return Finished(self.work, self.scale, self.output)

    def checked_recipes(self, folder: Path) -> dict[str, Recipe]:
        """Every recipe as it will be trained, by name, written below `folder` so that it can be read, and
        trained by hand. Raises UserError where one is not valid.
        """
        recipes = {}
        for name, recipe in self.work.recipes.items():
            path = folder / f"{name}.yaml"
            write_whole(path, yaml_text(dict(recipe)))
            recipes[name] = load_settings(Recipe, path, self.changes)
        return recipes

    def sources_needed(self) -> tuple[list[str], list[str]]:
        """(corpora, sets) to train, validate and score on."""
        corpora, sets = self._learnt_from()
        return sorted({*corpora, *corpora_of(sets, self.scale)}), sets

    def _learnt_from(self) -> tuple[list[str], list[str]]:
        """(corpora that mixtures are made of on the fly, all sets)."""
        corpora, sets = sources_of(self.work.recipes.values(), self.scale)
        return corpora, list(dict.fromkeys([*sets, *self.scored_sets]))

    def print_plan(self) -> None:
        """Print what is to be done, what it takes and what is missing. Raises UserError where data is."""
        print(self.headline)
        if not self.work.runs:
            return
        with TemporaryDirectory() as folder:  # nothing is written where the work will be
            recipes = self.checked_recipes(Path(folder))
        _, sets = self.sources_needed()
        print_plan(make_plan(self.work, recipes, self.sources, sets, self.jobs, self.threads), self.output)
        self.refuse_lacking("; until then the plan above counts on what is published")

    def refuse_lacking(self, way_on: str = "") -> None:
        """Raise UserError where data is missing, naming all of it."""
        lacking = missing(self.sources, *self._learnt_from()) if self.work.runs else []
        if lacking:
            raise UserError(
                f"{self.data} lacks what {self.name} needs at {self.scale_name} scale: {'; '.join(lacking)}. "
                f"Put or link it there by these names (docs/reproduce.md){way_on}."
            )

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else works in the output folder meanwhile. Raises UserError when somebody does."""
        return exclusive_lock(self.output / LOCK, "sedistill reproduce")

    def train_and_evaluate(self) -> dict[Run, str]:
        """Make what is missing, teachers first. Returns the runs that failed with the reason."""
        if not self.work.runs:
            return {}
        print(self.headline, flush=True)
        recipes = self.checked_recipes(self.output / RECIPES)
        for run in self.work.runs:
            recipe = recipes[run.name].model_copy(update={"seed": run.seed})
            refuse_another_recipe(recipe, self.output / run.folder)
        trust_pairs = any(recipe.data.trust_pairs for recipe in recipes.values())
        self.sources.prepare(*self.sources_needed(), trust_pairs=trust_pairs)
        for run in self.work.runs:  # those that are not finished look at it themselves
            if is_finished(self.output, run):
                refuse_another_identity(recipes[run.name], self.output / run.folder, base=self.output)
        trainings = Trainings(self.output, self.jobs, self._command, self._waits_for, self.threads)
        trainings.train(self.work.runs)
        if self.scored_sets:
            evaluate_noisy(self.output, self.scored_sets)
        for row in self.work.chosen:
            if row.model is not None:
                evaluate_model(self.output, row.model, self.scored_sets)
            for run in self.work.runs_of(row):
                if is_finished(self.output, run):
                    evaluate_run(self.output, run, self.scored_sets)
        return trainings.failed

    def _command(self, run: Run) -> list[str]:
        path = self.output / RECIPES / f"{run.name}.yaml"
        threads = threads_for(load_settings(Recipe, path, self.changes), self.threads)
        return train_command(path, [f"seed={run.seed}", *self.changes, f"hardware.threads={threads}"])

    def _waits_for(self, run: Run) -> list[Run]:
        return needs(self.work.recipes[run.name])

    def _data_folder(self) -> Path:
        if not self.work.runs:
            return Path(self.data or ".")
        if self.data is None:
            raise UserError(
                "say with --data where the recordings are (docs/reproduce.md: what is looked for)."
            )
        if not Path(self.data).is_dir():
            raise UserError(f"{self.data} does not exist; give the folder of the recordings with --data.")
        return Path(self.data)
