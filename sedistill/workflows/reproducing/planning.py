"""What a table will cost before anything starts: trainings, hours on this machine, disk."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sedistill.common.report.document import TextTable
from sedistill.common.report.printing import print_tables
from sedistill.common.wording import counted
from sedistill.data.corpus import FACTS as CORPUS_FACTS
from sedistill.data.examples import MixtureDataset
from sedistill.models.complexity import parameters
from sedistill.models.presets import build_model
from sedistill.training.recipe.optimiser_settings import LOSS
from sedistill.training.recipe.schema import Recipe
from sedistill.workflows.disk_use import free_bytes, outputs_bytes, pair_bytes
from sedistill.workflows.jobs import Run, is_finished
from sedistill.workflows.reproducing.runs import Work, needs
from sedistill.workflows.reproducing.sources import CORPORA, SETS, Sources
from sedistill.workflows.reproducing.step_time import Stopwatch, compares_features
from sedistill.workflows.reproducing.table import SetSettings
from sedistill.workflows.reproducing.timing import Timing

SECONDS_TO_SCORE = 0.4
"""Of one core for a clip and network; metrics take most of it."""
SAMPLE_RATE = 16_000
STATE_COPIES = 5
"""Of the weights: student, best, and last with Adam's two moments."""
TYPICAL_CLIP_SECONDS = 4.0


@dataclass(frozen=True)
class RunCost:
    """What one run takes, on the plan's threads or on the GPU.

    scoring_hours: of the validation of all epochs, where a metric says which is the best.
    """

    run: Run
    steps: int
    step_seconds: Timing
    finished: bool
    scoring_hours: float = 0.0

    @property
    def hours(self) -> Timing:
        """All steps, with the range of a step's times, and what is scored on the way."""
        if self.finished:
            return Timing()
        return self.step_seconds * (self.steps / 3600) + Timing(*3 * [self.scoring_hours])


@dataclass(frozen=True)
class Plan:
    """Everything a table takes that is not there yet."""

    costs: Sequence[RunCost]
    scoring_hours: float
    disk_bytes: int
    jobs: int
    threads: int

    @property
    def training_hours(self) -> Timing:
        return sum((cost.hours for cost in self.costs), start=Timing())

    @property
    def hours(self) -> Timing:
        """By the clock."""
        scoring = Timing(*3 * [self.scoring_hours])
        return self.training_hours * (1 / self.jobs) + scoring


def make_plan(
    work: Work, recipes: Mapping[str, Recipe], sources: Sources, sets: Iterable[str], jobs: int, threads: int
) -> Plan:
    """Measure every network and objective, and add up.

    Args:
        recipes: by name, as they will be trained.
        sets: that are written or scored.
    """
    stopwatch = Stopwatch(threads)
    costs = [_cost(run, recipes, sources, stopwatch) for run in work.runs]
    scored = [name for name in sets if sources.scale.sets[name].label]
    clips = sum(sources.scale.sets[name].count for name in scored)
    rows = sum(len(work.runs_of(row)) for row in work.chosen)
    scoring = rows * clips * SECONDS_TO_SCORE / (threads * jobs) / 3600
    return Plan(costs, scoring, _disk(work, recipes, sources, sets), jobs, threads)


def _cost(run: Run, recipes: Mapping[str, Recipe], sources: Sources, stopwatch: Stopwatch) -> RunCost:
    recipe = recipes[run.name]
    clips, clip_seconds = epoch_of(recipe, sources)
    batches = max(1, clips // recipe.optimiser.batch_size)
    steps = recipe.optimiser.steps_at_most(batches)
    finished = is_finished(sources.output, run)
    if finished:
        return RunCost(run, steps, Timing(), finished)
    needed = needs(recipe.model_dump(mode="json"))
    bands = sum(len(getattr(objective, "teachers", ())) for objective in recipe.objectives)
    teacher = network_of(recipes[needed[0].name], recipes) if needed and _is_guided(recipe) else None
    live = not _keeps_outputs(recipe)
    seconds = stopwatch.step_seconds(recipe, network_of(recipe, recipes), teacher, bands, clip_seconds, live)
    scored = 0 if recipe.optimiser.best_by == LOSS else sources.scale.sets[recipe.data.valid.name].count
    scoring = math.ceil(steps / batches) * scored * SECONDS_TO_SCORE / stopwatch.threads / 3600
    return RunCost(run, steps, seconds, finished, scoring)


def _is_guided(recipe: Recipe) -> bool:
    return recipe.distils or recipe.kdrl is not None


def network_of(recipe: Recipe, recipes: Mapping[str, Recipe]) -> Any:
    """The network of a recipe, or of the one it goes on from."""
    while isinstance(recipe.student, str):
        origin = needs({"student": recipe.student})
        if not origin:
            break
        recipe = recipes[origin[0].name]
    return recipe.student


def _keeps_outputs(recipe: Recipe) -> bool:
    """Whether a teacher runs once over the training set instead of along."""
    fixed = recipe.data.train.parts[0] == SETS and recipe.data.crop_seconds is None
    return fixed and recipe.teacher_use.cache == "auto" and not any(map(compares_features, recipe.objectives))


def epoch_of(recipe: Recipe, sources: Sources) -> tuple[int, float]:
    """(clips of an epoch, their seconds), from what is prepared already or else from what is published."""
    data = recipe.data
    kind, name = data.train.parts[0], data.train.name
    if kind == CORPORA:
        seconds = data.mixing.clip_seconds or TYPICAL_CLIP_SECONDS
        if (sources.corpus(name) / CORPUS_FACTS).exists():
            stride = data.segment_stride_seconds
            dataset = MixtureDataset(
                sources.corpus(name), "train", data.mixing, 0, data.epoch_mixtures, stride
            )
            return len(dataset), seconds
        published = sources.scale.corpora[name]
        clips = published.clips or max(1, round(published.hours * 3600 / seconds))
        return data.epoch_mixtures or clips, seconds
    settings = sources.scale.sets[name]
    return settings.count, data.crop_seconds or _clip_seconds(settings)


def _clip_seconds(settings: SetSettings) -> float:
    return (settings.mixing and settings.mixing.clip_seconds) or TYPICAL_CLIP_SECONDS


def _disk(work: Work, recipes: Mapping[str, Recipe], sources: Sources, sets: Iterable[str]) -> int:
    """Bytes of sets, checkpoints and teachers' outputs that are not there yet."""
    total = 0.0
    for name in sets:
        settings = sources.scale.sets[name]
        seconds = settings.count * _clip_seconds(settings)
        if settings.pairs is None and not sources.set(name).exists():
            total += seconds * pair_bytes(SAMPLE_RATE)
    cached = set()
    for run in work.runs:
        if is_finished(sources.output, run):
            continue
        recipe = recipes[run.name]
        with torch.device("meta"):
            total += STATE_COPIES * 4 * parameters(build_model(network_of(recipe, recipes)))
        if _is_guided(recipe) and _keeps_outputs(recipe):
            clips, seconds = epoch_of(recipe, sources)
            for one in needs(recipe.model_dump(mode="json")):
                if (one, recipe.data.train) not in cached:
                    cached.add((one, recipe.data.train))
                    total += clips * seconds * outputs_bytes(SAMPLE_RATE)
    return round(total)


def print_plan(plan: Plan, output: Path) -> None:
    """Print runs, hours and disk."""
    rows = [
        [
            str(cost.run),
            f"{cost.steps:,}",
            "" if cost.finished else three_digits(cost.step_seconds.median),
            "finished" if cost.finished else range_text(cost.hours),
        ]
        for cost in plan.costs
    ]
    threads = f"hours on at most {counted(plan.threads, 'thread')} each"
    unit = "GPU-hours" if torch.cuda.is_available() else threads
    free = free_bytes(output)
    to_do = sum(not cost.finished for cost in plan.costs)
    note = (
        f"{to_do} of {len(plan.costs)} runs to train: {range_text(plan.training_hours)} {unit}; with --jobs "
        f"{plan.jobs} and scoring (assumed, {SECONDS_TO_SCORE} s a clip) about {range_text(plan.hours)} h by "
        "the clock. Medians of the steps that were timed here, and in brackets where 80 % of them lie; what "
        "else this machine does meanwhile comes on top. Large steps are in proportion to one of 1 s."
    )
    print_tables([("", TextTable(["run", "most steps", "s a step", "hours"], rows, note))], [])
    short = " That is too little." if free < plan.disk_bytes else ""
    print(f"Disk: about {_size(plan.disk_bytes)} in {output}, where {_size(free)} are free.{short}")


def range_text(time: Timing) -> str:
    """4.69 (4.5 to 5.2), or 0.0332, or 91,400: the median and the range."""
    return f"{three_digits(time.median)} ({three_digits(time.low)} to {three_digits(time.high)})"


def three_digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
