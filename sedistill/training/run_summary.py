"""What a run says before it starts, so that a mistake in its recipe shows before the training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from sedistill.common import ranks
from sedistill.common.progress import duration_text
from sedistill.common.report.printing import print_facts
from sedistill.common.wording import counted
from sedistill.data.crops import Pairs
from sedistill.data.examples import MixtureDataset
from sedistill.data.mixing import MixingSettings
from sedistill.data.noisy_recordings import RecordingCrops
from sedistill.data.pair_alignment import SOME
from sedistill.data.set_notes import notes_on
from sedistill.distill.choice import rule_text
from sedistill.distill.dispatch import DISPatch
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.teachers.cached import BYTES_KEPT
from sedistill.teachers.level_factor import level_warning
from sedistill.teachers.saved import SavedTeacher
from sedistill.teachers.source import TeacherSource
from sedistill.training.build import build_stages
from sedistill.training.gradients import remembered_by
from sedistill.training.kdrl.kdrl_settings import KDRLSettings
from sedistill.training.recipe.objectives import objective_names
from sedistill.training.recipe.optimiser_settings import LOSS, OptimiserSettings
from sedistill.training.recipe.schema import Recipe
from sedistill.training.tasks import OWN_PREFIX
from sedistill.training.teaching.own_teachers import several_text

if TYPE_CHECKING:
    from sedistill.training.inputs import PreparedRun


def print_summary(run: PreparedRun, folder: Path) -> None:
    """Print networks, data, steps, loss terms, device and place of a run."""
    print_facts(facts(run, folder))
    for name, teacher in run.own_teachers.items():
        if teacher.measured is None and (warning := level_warning(teacher.level_factor)):
            print(f"note on {'the teacher' if teacher is run.teacher else name}: {warning}")
    sets = [one for one in (run.data.fixed_set, run.valid_set) if one is not None]
    for line in dict.fromkeys(line for one in sets for line in notes_on(one, SOME)):
        print(line)
    for line in without_effect(run):
        print(f"note: {line}")
    if run.bandwidth < 1 and run.recipe.kdrl is not None:
        print("note on the teacher: kdrl compares whole waveforms, what lies above its bandwidth included.")


def without_effect(run: PreparedRun) -> Iterator[str]:
    """What the recipe says and this run does not do, such as what it took over from its base."""
    data, rise = run.recipe.data, run.recipe.optimiser.warmup_steps
    steps = run.recipe.optimiser.steps_at_most(run.data.batches)
    stages = build_stages(run.recipe, run.data.batches)
    for number, stage in enumerate(stages, start=1):
        if rise >= (length := stage.length(steps)):
            where = f"the {length:,} steps" + (f" of stage {number}" if len(stages) > 1 else "")
            yield f"warmup_steps = {rise:,} is all of {where}; the rate ends on its way up."
    dataset = run.data.dataset
    if not isinstance(dataset, MixtureDataset):
        for key in ("mixing", "epoch_mixtures"):
            if getattr(data, key) != type(data).model_fields[key].default:
                yield f"data.{key} changes nothing: {data.train} is a fixed set, mixed before."
        return
    cut_alone = MixingSettings(clip_seconds=data.mixing.clip_seconds)
    if isinstance(dataset.source, Pairs) and data.mixing != cut_alone:
        yield f"of data.mixing clip_seconds alone counts: {data.train} holds ready pairs."


def facts(run: PreparedRun, folder: Path) -> list[tuple[str, str]]:
    """The lines of the announcement, (name, text)."""
    recipe = run.recipe
    student_name = recipe.student
    if isinstance(student_name, dict):
        student_name = student_name.get("preset") or student_name.get("class", "")
    lines = [("run", f"{recipe.name}, seed {recipe.seed}, in {folder}")]
    lines.append((word_for(run), f"{student_name}: {_size(run.student)}"))
    use = "kept outputs" if run.keeps_outputs else "live"
    own = run.own_teachers
    if of_bands := [teacher.name for name, teacher in run.teachers.items() if name not in own]:
        lines.append(("band teachers", f"{', '.join(of_bands)}; frozen, eval mode, {use}"))
    if recipe.own_teachers and not run.teachers:
        lines.append(("teacher", "none (no term looks at one)"))
    use += ", features tapped" if run.taps else ""
    for name, teacher in own.items():
        lines += teacher_lines(name.removeprefix(OWN_PREFIX), teacher, use)
    if run.several is not None:
        lines.append(("together", several_text(run.several, list(recipe.teachers))))
    if kept := [*run.kept(run.data.epochs), *run.kept(run.data.recording_epochs)]:
        clips = sum(map(len, kept)) * len(run.teachers)
        size = clips * run.data.clip_seconds * run.student.sample_rate * BYTES_KEPT
        lines.append(("kept outputs", f"{clips:,} clips, {size / 1e6:,.0f} MB"))
    lines += _data_lines(run)
    lines.append(("loss", formula(recipe)))
    lines += [
        (f"  {name}", f"distils {rule_text(objective)}")
        for name, (_, objective) in run.objectives.items()
        if isinstance(objective, DISPatch) and objective.selects
    ]
    if recipe.distils:
        lines.append(("level", _level_text(recipe)))
    lines.append(("optimiser", _optimiser_text(recipe)))
    if recipe.patch_record is not None:
        record = recipe.patch_record
        lines.append(
            ("patch record", f"{record.clips} clips of data.{record.split} every {record.every_steps} steps")
        )
    threads = f", {counted(torch.get_num_threads(), 'thread')}" if run.device.type == "cpu" else ""
    compiled = ", compiled" if recipe.hardware.compile else ""
    pieces = recipe.hardware.accumulate
    memory = f", a step in {pieces} pieces" if pieces > 1 else ""
    memory += ", blocks computed again in the backward pass" if recipe.hardware.recompute else ""
    lines.append(("device", f"{run.device}, {recipe.hardware.precision}{threads}{compiled}{memory}"))
    if ranks.count_of_all() > 1:
        lines.append(("processes", _processes_text(run)))
    return lines


def _processes_text(run: PreparedRun) -> str:
    count = ranks.count_of_all()
    text = f"{count}, each with {counted(run.recipe.optimiser.batch_size // count, 'clip')} of a step"
    if not remembered_by(run.student):
        return text
    if run.recipe.hardware.sync_batch_norm:
        return f"{text}; batch norms see those of all"
    return f"{text}; batch norms see those alone (hardware.sync_batch_norm: false)"


def teacher_lines(word: str, teacher: TeacherSource, use: str) -> list[tuple[str, str]]:
    """What teaches: a saved model in one line, another with all that was measured of it."""
    known, factor = teacher.measured, f"output times {teacher.level_factor:.3f}"
    if known is None:
        size = _teacher_size(teacher)
        return [(word, f"{teacher.name}: {size}; frozen, eval mode, {use}, {factor}")]
    resampled = "" if known.own_rate == known.rate else f", resampled from and to {known.rate} Hz"
    return [
        (word, f"{teacher.name}; frozen, {use}"),
        ("  rate", f"{known.own_rate} Hz{resampled}"),
        ("  delay", known.delay_text()),
        ("  level", f"{factor} ({known.level.low:.3f} to {known.level.high:.3f} over {known.clips} clips)"),
        ("  bandwidth", known.band_text()),
    ]


def word_for(run: PreparedRun) -> str:
    """What is trained: a student where there is a teacher, else a network."""
    return "student" if run.teachers else "network"


def formula(recipe: Recipe) -> str:
    """The loss as a formula, for example "0.5 x si_snr + 0.5 x (1 x l2+dispatch)"."""
    if recipe.kdrl is not None:
        return _kdrl_text(recipe.kdrl)
    text = f"{recipe.se_weight:g} x enhancement loss"
    if recipe.distils:
        names = objective_names(recipe.objectives)
        terms = " + ".join(f"{o.weight:g} x {n}" for n, o in zip(names, recipe.objectives, strict=True))
        both = "+" if recipe.two_step is None else f"after step {recipe.two_step.kd_steps}; until then"
        text += f" {both} {recipe.kd_weight:g} x ({terms})"
    if recipe.kd_over_se is not None:
        text += f", the latter times what makes its gradient {recipe.kd_over_se:g} x as long as the former's"
    return text


def _kdrl_text(settings: KDRLSettings) -> str:
    ratio = "learnt for every clip" if settings.fixed_ratio is None else f"{settings.fixed_ratio:g}"
    distance = "the student's own loss" if settings.distance == "own" else settings.distance
    return f"KDRL, method {settings.method}: {distance} towards clean speech and teacher, ratio {ratio}"


def _teacher_size(teacher: TeacherSource) -> str:
    return _size(teacher.network) if isinstance(teacher.teacher, SavedTeacher) else "of another package"


def _size(network: nn.Module) -> str:
    macs = macs_per_second(network) / 1e6
    return f"{parameters(network):,} parameters, {macs:,.0f} M MAC a second of sound"


def _data_lines(run: PreparedRun) -> list[tuple[str, str]]:
    recipe = run.recipe
    clips = len(run.data.dataset)  # type: ignore[arg-type]
    hours = clips * run.data.clip_seconds / 3600
    batch = recipe.optimiser.batch_size
    per_epoch, crops = run.data.batches, run.data.recordings
    steps = recipe.optimiser.steps_at_most(per_epoch)
    valid = run.valid_set
    kind = f"{run.data.kind}, {clips} clips of {run.data.clip_seconds:.3g} s"
    by_size = [("by size", run.by_size)] if run.by_size else []
    return [
        ("training data", f"{recipe.data.train}: {kind}, {hours:.2f} h an epoch"),
        *([("recordings", _recordings_text(run.data.recordings_a_batch, crops))] if crops else []),
        ("validation", f"{recipe.data.valid}: {len(valid)} clips, {valid.seconds / 60:.1f} min"),
        ("steps", f"at most {steps:,} ({per_epoch} an epoch of batches of {batch})"),
        *by_size,
    ]


def _recordings_text(count: int, crops: RecordingCrops) -> str:
    of = crops.recordings
    text = f"{of.folder}: {counted(len(of), 'file')}, {duration_text(of.seconds)} without clean speech"
    return f"{text}; {counted(count, 'crop')} in each batch"


def _level_text(recipe: Recipe) -> str:
    if recipe.kd_level_db is None:
        return "objectives see waveforms as they are"
    return f"objectives see clean speech at {recipe.kd_level_db:g} dB RMS (student and teacher alike)"


def _optimiser_text(recipe: Recipe) -> str:
    settings = recipe.optimiser
    over = f"{settings.max_epochs} epochs" if settings.max_steps is None else f"{settings.max_steps} steps"
    ends = {
        "plateau": f"halved after {settings.halve_after} epochs without improvement, "
        f"stopped after {settings.stop_after}",
        "cosine": f"cosine over {over}",
        "one_cycle": f"peak of one cycle over {over}",
        "wsd": f"down in the last {100 * settings.decay_share:g} % of {over}",
    }
    best = "" if settings.best_by == LOSS else f", the best by validation {settings.best_by}"
    name = "Adam" if settings.weight_decay == 0 else f"AdamW (decay {settings.weight_decay:g})"
    mean = "" if settings.ema_decay is None else f", weights averaged ({settings.ema_decay:g})"
    rise = f" after {counted(settings.warmup_steps, 'step')} of rise" if settings.warmup_steps else ""
    rate = f"{name} {settings.learning_rate:g}{rise}"
    return f"{rate}, {ends[settings.schedule]}, {clip_text(settings)}{mean}{best}"


def clip_text(settings: OptimiserSettings) -> str:
    """What becomes of large gradients."""
    return (
        "gradients not clipped"
        if settings.clip_norm is None
        else (f"gradient norm at most {settings.clip_norm:g}")
    )
