"""From what a recipe names to a loop that is ready to run."""

import math
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from sedistill.common import ranks
from sedistill.common.devices import worker_count
from sedistill.common.errors import UserError
from sedistill.data.batches import fixed_loader, train_loader
from sedistill.data.examples import FixedDataset
from sedistill.data.noisy_recordings import WithRecordings
from sedistill.data.set_files import TEACHER_OUTPUTS
from sedistill.data.workers import Batches, together
from sedistill.models.eval_mode import evaluating
from sedistill.models.layers.synced_norm import synchronize_batch_norms
from sedistill.teachers.cached import CachedOutputsDataset, NoPlaceError, OutputCache
from sedistill.teachers.labelling import opened
from sedistill.teachers.source import CachedOutputs
from sedistill.training.compiled import Compiled, compile_now
from sedistill.training.inputs import PreparedRun, is_saved_model
from sedistill.training.kd_balance import KDBalance
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.kdrl.ratio_log import RATIOS
from sedistill.training.kdrl.step import KDRLStep
from sedistill.training.loop import Loop
from sedistill.training.optimiser import AveragedWeights, build_optimiser
from sedistill.training.patch_record.clips import clips_to_watch
from sedistill.training.patch_record.recorder import PatchRecorder, Selection
from sedistill.training.polarity import Polarity
from sedistill.training.recipe.optimiser_settings import LOSS
from sedistill.training.recipe.schema import Recipe
from sedistill.training.recompute import recompute_activations
from sedistill.training.schedule import Stage, one_stage, two_stages
from sedistill.training.steps import PlainStep, Step
from sedistill.training.tasks import Task, clip_losses
from sedistill.training.validation import Validation, ValidationMetric

VALIDATED_AT_ONCE = 16
"""Clips, at most; also where the batches of a training on many devices are too large for one of them."""


def build_loop(run: PreparedRun, folder: Path) -> Loop:
    """Everything connected, ready to run."""
    recipe = run.recipe
    student = run.student.to(run.device)
    if recipe.hardware.sync_batch_norm:
        synchronize_batch_norms(student)
    if recipe.hardware.recompute:
        recompute_activations(student)
    forward = Compiled(student) if recipe.hardware.compile else student
    for teacher in run.teachers.values():
        teacher.to(run.device)
    batches = build_train_batches(run)
    step = build_step(run, forward, len(batches), folder)
    return Loop(
        network=student,
        step=step,
        validation=build_validation(run),
        stages=build_stages(recipe, len(batches)),
        train_batches=batches,
        settings=recipe.optimiser,
        logging=recipe.logging,
        folder=folder,
        device=run.device,
        keep_optimiser=recipe.two_step is not None and recipe.two_step.keep_optimiser,
        polarity=build_polarity(run, step),
        averaged=build_averaged(recipe, student),
        callbacks=build_callbacks(run, step, len(batches), folder),
    )


def build_step(run: PreparedRun, forward: nn.Module, batches: int, folder: Path) -> Step:
    """How one batch changes the student."""
    recipe = run.recipe
    if recipe.kdrl is not None:
        return build_kdrl_step(recipe.kdrl, run, batches, folder)
    task = build_task(run, forward)
    parameters = [*run.student.parameters(), *task.auxiliary.parameters()]
    optimiser = build_optimiser(parameters, recipe.optimiser)
    dry_run(task, run)
    if recipe.hardware.compile:
        compile_for(task, run)
    balance = None if recipe.kd_over_se is None else KDBalance(recipe.kd_over_se)
    return PlainStep(
        task, run.student, optimiser, recipe.optimiser.clip_norm, run.precision, recipe.hardware.accumulate,
        balance,
    )  # fmt: skip


def build_task(run: PreparedRun, forward: nn.Module) -> Task:
    """The weighted terms of the student's loss."""
    recipe = run.recipe
    task = Task(
        student=forward,
        se_loss=run.se_loss,
        se_weight=recipe.se_weight,
        objectives=run.objectives,
        kd_weight=recipe.kd_weight,
        teachers=run.teachers,
        kd_level_db=recipe.kd_level_db,
        band_teachers=run.band_teachers,
        taps=run.taps,
        bandwidth=run.bandwidth,
        several=run.several,
    )
    task.auxiliary.to(run.device)
    return task


def build_kdrl_step(settings: KDRLSettings, run: PreparedRun, batches: int, folder: Path) -> KDRLStep:
    """A step whose weights a policy network learns along the way."""
    recipe = run.recipe
    steps = recipe.optimiser.steps_at_most(batches)
    step = KDRLStep(
        run.student,
        build_optimiser(run.student.parameters(), recipe.optimiser),
        recipe.optimiser.clip_norm,
        settings,
        run.teacher,
        epochs=math.ceil(steps / batches),
        steps=steps,
        precision=run.precision,
        ratio_path=folder / RATIOS,
        seed=recipe.seed,
        pieces=recipe.hardware.accumulate,
    )
    if step.policy is not None and recipe.hardware.sync_batch_norm:
        synchronize_batch_norms(step.policy.network)
    return step


def dry_run(task: Task, run: PreparedRun) -> None:
    """Compute every term on a clip of the training data, so that what cannot work is refused first."""
    batch = batch_of(run, 2, 0 if run.data.recordings is None else 1)
    try:
        with evaluating(run.student), torch.random.fork_rng():
            task.losses(batch)
    except ValueError as error:
        raise UserError(
            f"{run.recipe.name}: the objectives do not fit these networks and clips: {error}."
        ) from None


def compile_for(task: Task, run: PreparedRun) -> None:
    """The same of as many clips as pass through the student at a time, in training, by torch.compile."""
    parts = ranks.count() * run.recipe.hardware.accumulate
    recordings = run.data.recordings_a_batch // parts
    batch = batch_of(run, run.data.batch_size // parts, recordings)

    def losses() -> Tensor:
        with run.precision:
            return task.losses(batch).total

    compile_now(run.student, losses)


def batch_of(run: PreparedRun, clips: int, recordings: int) -> dict[str, Tensor]:
    """So many times the first clip of the training data, and the first that has no clean speech."""
    dataset = run.data.with_outputs or run.data.with_recordings
    numbers = [0] * clips
    if recordings:
        numbers += [len(run.data.dataset)] * recordings  # type: ignore[arg-type]
    batch = together([dataset[(0, number)] for number in numbers])
    return {name: values.to(run.device) for name, values in batch.items()}


def build_stages(recipe: Recipe, batches: int) -> list[Stage]:
    """The stages of the schedule, each of which must come to pass."""
    if recipe.two_step is None:
        return one_stage(recipe.se_weight, recipe.kd_weight)
    steps = recipe.optimiser.steps_at_most(batches)
    if recipe.two_step.kd_steps >= steps:
        raise UserError(
            f"two_step.kd_steps = {recipe.two_step.kd_steps} leaves nothing of the {steps} steps of this run "
            "for the second stage; lower it or raise optimiser.max_epochs."
        )
    return two_stages(recipe.two_step.kd_steps, recipe.se_weight, recipe.kd_weight)


def build_validation(run: PreparedRun) -> Validation:
    """What decides which weights are the best, of the same bits with any number of processes."""
    batch_size = min(VALIDATED_AT_ONCE, run.recipe.optimiser.batch_size // run.recipe.hardware.accumulate)
    return Validation(
        run.student,
        partial(clip_losses, run.student, run.se_loss, run.precision),
        run.se_loss_name,
        fixed_loader(FixedDataset(run.valid_set), batch_size, 0, ranks.rank(), ranks.count()),
        run.device,
        build_metric(run),
    )


def build_metric(run: PreparedRun) -> ValidationMetric | None:
    """The metric that decides which weights are the best, if the recipe names one."""
    name, threads = run.recipe.optimiser.best_by, run.recipe.hardware.threads
    if name == LOSS:
        return None
    metric = ValidationMetric(name, run.valid_set, worker_count(threads))
    metric.refuse_undefined()
    return metric


def build_polarity(run: PreparedRun, step: Step) -> Polarity | None:
    """What gives a new student's output the sign of the speech, if the recipe says so."""
    if not run.recipe.correct_sign or is_saved_model(run.recipe.student):
        return None
    return Polarity(run.student, step.optimiser, run.valid_set, run.device)


def build_averaged(recipe: Recipe, student: nn.Module) -> AveragedWeights | None:
    """The mean of the student's weights, if the recipe wants one."""
    decay = recipe.optimiser.ema_decay
    return None if decay is None else AveragedWeights(student, decay)


def build_callbacks(run: PreparedRun, step: Step, batches: int, folder: Path) -> list[PatchRecorder]:
    """The callbacks of a run; a patch record that would show nothing is refused."""
    recipe, settings = run.recipe, run.recipe.patch_record
    if settings is None:
        return []
    steps = recipe.optimiser.steps_at_most(batches)
    if 2 * settings.every_steps > steps:
        raise UserError(
            f"patch_record.every_steps = {settings.every_steps} leaves no trend to see in the {steps} steps "
            "of this run; lower it, so that there are two records or more."
        )
    selection = Selection.of(step.task) if isinstance(step, PlainStep) else None
    for teacher in run.own_teachers.values() if selection else ():
        if not teacher.answers_live:
            raise UserError(
                f"patch_record asks the teacher about its clips in training, which {teacher.name} cannot "
                "answer; take out patch_record, or choose another teacher."
            )
    facts = {"run": recipe.name, "seed": recipe.seed, "teacher": recipe.teacher and str(recipe.teacher)}
    clips = clips_to_watch(settings, run.valid_set, run.data.dataset)
    return [PatchRecorder(run.student, clips, settings, folder, run.device, run.precision, facts, selection)]


def build_train_batches(run: PreparedRun) -> Batches:
    """The training batches; of clips that come again they bring the teachers' cached outputs along."""
    recipe, data = run.recipe, run.data
    if run.keeps_outputs:
        try:
            data.with_outputs = with_cached_outputs(run)
        except NoPlaceError as error:
            live = all(teacher.answers_live for teacher in run.teachers.values())
            if recipe.teacher_use.cache_folder is not None or not live:
                raise UserError(
                    f"teacher_use.cache_folder: {error}; name another folder, or set teacher_use.cache=never "
                    "to let the teacher run along."
                ) from None
            print(
                f"note: {error}, so teachers run along at every step; teacher_use.cache_folder names a place "
                "for their outputs, which then are computed once.",
                flush=True,
            )
    dataset = data.with_outputs or data.with_recordings
    return train_loader(
        dataset, data.batch_size, recipe.seed, recipe.data.workers, data.recordings_a_batch,
        ranks.rank(), ranks.count(),
    )  # fmt: skip


def with_cached_outputs(run: PreparedRun) -> Dataset:
    """The training clips with the teachers' estimates, computed where none are on disk."""
    use, data = run.recipe.teacher_use, run.data
    place = use.cache_folder or run.recipe.data.train / TEACHER_OUTPUTS
    sides = [(data.dataset, run.kept(data.epochs))]
    if data.recordings is not None:
        sides.append((data.recordings, run.kept(data.recording_epochs)))
    caches = [
        [
            (name, OutputCache(place, clips, teacher))
            for name, teacher in run.teachers.items()
            for clips in epochs
        ]
        for _, epochs in sides
    ]
    in_turn = [one for side in caches for _, one in side]
    outputs = iter(opened(in_turn, str(run.device), use.disk_limit_gb))
    made: list[Dataset] = []
    for (dataset, _), side in zip(sides, caches, strict=True):
        cached: dict[str, list[CachedOutputs]] = {name: [] for name in run.teachers}
        for name, one in side:
            samples = one.samples if one.is_made else None
            cached[name].append(CachedOutputs(next(outputs), run.teachers[name].level_factor, samples))
        made.append(CachedOutputsDataset(dataset, cached))
    return made[0] if data.recordings is None else WithRecordings(*made)
