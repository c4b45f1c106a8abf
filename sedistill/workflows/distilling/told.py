"""The plan and the way through it, in words for the terminal."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sedistill.common.progress import duration_text
from sedistill.common.reading import shown
from sedistill.workflows.distilling import plan as planning
from sedistill.workflows.distilling.plan import Plan, Task
from sedistill.workflows.distilling.recipes import ALONE, BATCH_SIZE, CLIP_SECONDS, DISTILLED, TEACHER
from sedistill.workflows.distilling.speed import Speeds

TITLES = {
    planning.PREPARE: "Look at the recordings, and split them",
    planning.MIX: "Mix speech and noise",
    planning.TEACH: "The larger network learns",
    planning.CHECK: "The teacher on the validation set",
    planning.LABEL: "The teacher's outputs for what the student will hear",
    planning.TRAIN: "The student learns",
    planning.EVALUATE: "All of them on mixtures they never met",
    planning.PAGE: "The page",
}


def print_plan(task: Task, speeds: Speeds, plan: Plan, place: Path) -> None:
    """Print what will be done, how long each stage takes, and the disk."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", overflow="fold")
    table.add_column("minutes", justify="right", no_wrap=True)
    for stage, seconds in plan.seconds.items():
        table.add_row(f"{TITLES[stage]}{_detail(stage, task, plan)}", f"{seconds / 60:.1f}")
    table.add_row("together", f"{plan.total / 60:.1f}", style="bold")
    Console().print(table, highlight=False)
    steps = ", ".join(f"{1000 * seconds:.0f} ms {name}" for name, seconds in speeds.steps.items())
    beside = ", the students' beside each other" if task.together else ""
    print(
        f"Measured here: a training step takes {steps}{beside}. The steps are counted again when the "
        "training begins, from the time that is left then."
    )
    if plan.steps[DISTILLED] < planning.ENOUGH_STEPS:
        print(
            f"With fewer than {planning.ENOUGH_STEPS:,} steps the student may be no better than the noisy "
            "input: a try-out. Give more --hours for one to use."
        )
    free = task.free_bytes / 1e9
    print(f"Disk: about {plan.disk_bytes / 1e6:,.0f} MB in {shown(place)}, where {free:,.1f} GB are free.")


def _detail(stage: str, task: Task, plan: Plan) -> str:
    clips, steps = plan.clips, plan.steps
    if stage == planning.MIX:
        return (
            f": {clips['train']:,} clips of {CLIP_SECONDS:g} s to learn from, {clips['valid']} of "
            f"{planning.VALID_SECONDS:g} s to validate with, {clips['test']} of {planning.TEST_SECONDS:g} s "
            "to test on"
        )
    if stage == planning.TEACH:
        share = f"{100 * planning.TEACHER_SHARE:.0f} % of the time for training"
        return f": {steps[TEACHER]:,} steps of {BATCH_SIZE} clips, {share}"
    if stage == planning.TRAIN:
        twice = ", once with the teacher and once alone" if ALONE in steps else ""
        return (
            f"{twice}: {steps[DISTILLED]:,} steps of {BATCH_SIZE} clips, each clip heard {plan.passes:.0f} "
            "times"
        )
    if stage == planning.EVALUATE:
        return f": {task.systems} systems on {clips['test']} clips"
    return ""


class Way:
    """Says at each stage how far the whole is, and how long it will still take."""

    def __init__(self, planned: Mapping[str, float], budget: float) -> None:
        self.planned, self.budget = dict(planned), budget

    def announce(self, stage: str, seconds: Mapping[str, float]) -> None:
        """Print that a stage begins. seconds: of every stage, over all attempts so far."""
        names = list(self.planned)
        number = names.index(stage)
        left = sum(max(0.0, self.planned[name] - seconds.get(name, 0.0)) for name in names[number:])
        spent = sum(seconds.values())
        print(
            f"\n[{number + 1}/{len(names)}] {TITLES[stage]}  ({duration_text(spent)} of "
            f"{duration_text(self.budget)} gone, about {duration_text(left)} to go)",
            flush=True,
        )
