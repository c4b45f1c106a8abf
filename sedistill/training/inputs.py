"""What a recipe names, opened and checked against each other: networks, teachers, objectives, data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sedistill.audio.pesq_hearing import PESQ_RATE
from sedistill.common import ranks
from sedistill.common.devices import choose_device, limit_threads
from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken
from sedistill.data.fixed_sets import FixedSet
from sedistill.distill.several import Several
from sedistill.distill.taps import Taps
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import build_model
from sedistill.models.ready_made import PREFIX
from sedistill.models.saving import CARD, load_model
from sedistill.teachers.foreign import Clips
from sedistill.teachers.opening import open_teacher
from sedistill.teachers.source import TeacherSource
from sedistill.training.enhancement_losses import EnhancementLoss, enhancement_loss, with_pesq
from sedistill.training.recipe.objectives import ObjectiveSettings, objective_names
from sedistill.training.recipe.schema import Recipe
from sedistill.training.tasks import TEACHER, FeatureTaps, Objective, needs_clean
from sedistill.training.teaching.own_teachers import bandwidth, measured_teacher, several_of
from sedistill.training.training_data import TrainingData, open_data


@dataclass
class PreparedRun:
    """What a recipe names, opened and checked.

    teachers: by name, `TEACHER` the run's own, or its own by the recipe's keys `teachers.NAME`;
    band_teachers: the names of an objective's teachers for bands.
    several: what several of its own say together; None where there is one, or none.
    taps: where features are seen, if any objective compares them.
    recipe: with what it left out, chosen by the size of the data; by_size: what that was, in words.
    """

    recipe: Recipe
    student: SpeechEnhancer
    teachers: dict[str, TeacherSource]
    objectives: dict[str, tuple[float, Objective]]
    band_teachers: dict[str, list[str]]
    taps: FeatureTaps | None
    data: TrainingData
    valid_set: FixedSet
    device: torch.device
    by_size: str = ""
    several: Several | None = None

    @property
    def own_teachers(self) -> dict[str, TeacherSource]:
        """Those that teach in the whole band, one or several, by name."""
        return {name: self.teachers[name] for name in self.recipe.own_teachers if name in self.teachers}

    @property
    def bandwidth(self) -> float:
        """Of half the data's rate, the share that the run's own teachers can know."""
        return bandwidth(self.several, self.own_teachers)

    @property
    def teacher(self) -> TeacherSource | None:
        """The run's own, if a term looks at it."""
        return self.teachers.get(TEACHER)

    @property
    def se_loss_name(self) -> str:
        """The student's enhancement loss, and what is added to it."""
        name, weight = self._named_loss, self.recipe.pesq_weight
        return f"{name} + {weight:g} pesq" if weight else name

    @property
    def se_loss(self) -> EnhancementLoss:
        """The same as a function."""
        return with_pesq(enhancement_loss(self._named_loss), self.recipe.pesq_weight)

    @property
    def _named_loss(self) -> str:
        return self.recipe.se_loss or self.student.se_loss

    @property
    def precision(self) -> torch.autocast:
        """The number format of the forward pass."""
        known = {"bf16-mixed": torch.bfloat16, "fp16-mixed": torch.float16}
        mixed = known.get(self.recipe.hardware.precision)
        return torch.autocast(self.device.type, mixed or torch.bfloat16, enabled=mixed is not None)

    @property
    def keeps_outputs(self) -> bool:
        """Whether the teachers' outputs are computed once and kept; features are seen in a live one only."""
        asked = self.recipe.teacher_use.cache == "auto" and bool(self.teachers)
        return asked and len(self.data.epochs) > 0 and self.taps is None

    def kept(self, epochs: Sequence[Clips]) -> Sequence[Clips]:
        """Of epochs that come again those for which they are: no more than the run will see."""
        return epochs[: self.recipe.optimiser.max_epochs] if self.keeps_outputs else ()


def prepare_run(recipe: Recipe) -> PreparedRun:
    """Open data, build the student (initial weights decided by the seed alone) and load the teachers."""
    if recipe.hardware.threads:
        torch.set_num_threads(recipe.hardware.threads)
    else:
        limit_threads()
    device = choose_device(recipe.hardware.device, ranks.local_rank())
    torch.manual_seed(recipe.seed)
    student = build_student(recipe.student)
    sample_rate, correct_level = student.sample_rate, recipe.teacher_use.correct_level
    if recipe.pesq_weight and sample_rate != PESQ_RATE:
        raise UserError(
            f"pesq_weight = {recipe.pesq_weight:g}: PESQ hears {PESQ_RATE} Hz, and the student works at "
            f"{sample_rate} Hz; take it out."
        )
    in_force = objectives_in_force(recipe)
    teachers: dict[str, TeacherSource] = {}
    several = several_of(recipe, sample_rate)
    if recipe.own_teachers and looks_at_teacher(recipe, student, in_force.values()):
        for name, spec in recipe.own_teachers.items():
            teachers[name] = open_teacher(spec, sample_rate, correct_level)
    teacher = teachers.get(TEACHER)
    objectives = build_objectives(recipe, student, teacher)
    if not teachers and any("teacher" in objective.needs for _, objective in objectives.values()):
        raise UserError(
            f"{recipe.name}: an objective needs a teacher but `teacher` is missing; name a saved model."
        )
    of_bands = band_teachers_of(in_force)
    for place in dict.fromkeys(place for places in of_bands.values() for place in places):
        teachers[f"{TEACHER} {place}"] = open_teacher(place, sample_rate, correct_level)
    band_teachers = {name: [f"{TEACHER} {place}" for place in places] for name, places in of_bands.items()}
    recipe, data, valid_set, by_size = open_data(recipe, sample_rate)
    refuse_unequal_shares(data, recipe.hardware.accumulate)
    if recipe.hardware.accumulate > 1:
        refuse_apart(objectives)
    with ranks.first_ahead():
        for name, spec in recipe.own_teachers.items():
            if name in teachers:
                teachers[name] = measured_teacher(recipe, spec, teachers[name], data, valid_set)
    if data.recordings and all(needs_clean(one, several) for _, one in objectives.values()):
        raise UserError(
            f"{recipe.name}: every term needs clean speech, so nothing is learnt from data.noisy; add an "
            "objective towards the teacher alone, such as {loss: complex_l2, power: 0.3}, or take it out."
        )
    taps = build_taps(student, teachers.get(TEACHER), objectives)
    return PreparedRun(
        recipe, student, teachers, objectives, band_teachers, taps, data, valid_set, device, by_size, several
    )


def refuse_unequal_shares(data: TrainingData, pieces: int) -> None:
    """Raise UserError where processes cannot divide a batch equally, each into so many pieces."""
    count, clips, without = ranks.count(), data.batch_size, data.recordings_a_batch
    shares = count * pieces
    if clips % shares or without % shares:
        of_noisy = f", {without} of them of data.noisy," if without else ""
        among = [f"{count} processes"] if count > 1 else []
        among += [f"{pieces} pieces (hardware.accumulate)"] if pieces > 1 else []
        raise UserError(
            f"optimiser.batch_size = {clips + without}: the clips of a step{of_noisy} do not divide equally "
            f"among {' of '.join(among)}; choose another batch size, or another number of these."
        )


def refuse_apart(objectives: Mapping[str, tuple[float, Objective]]) -> None:
    """Raise UserError where an objective compares clips that pieces of a batch hold apart."""
    for name, (_, objective) in objectives.items():
        if getattr(objective, "over_batch", False):
            raise UserError(
                f"hardware.accumulate: the objective {name} compares all clips of a batch, which then are "
                "never there together; set it to 1, use hardware.recompute, or more processes."
            )


def objectives_in_force(recipe: Recipe) -> dict[str, ObjectiveSettings]:
    """The objectives with a weight above 0, by name; nothing of the others is built or loaded."""
    if not recipe.distils:
        return {}
    names = objective_names(recipe.objectives)
    return {
        name: settings for name, settings in zip(names, recipe.objectives, strict=True) if settings.weight > 0
    }


def build_objectives(
    recipe: Recipe, student: nn.Module, teacher: TeacherSource | None
) -> dict[str, tuple[float, Objective]]:
    """The objectives in force, by name, with their weights."""

    def built(settings: ObjectiveSettings) -> Objective:
        return settings.build(student, teacher.network if teacher and settings.compares_features else None)

    return {name: (one.weight, built(one)) for name, one in objectives_in_force(recipe).items()}


def looks_at_teacher(recipe: Recipe, student: nn.Module, objectives: Iterable[ObjectiveSettings]) -> bool:
    """Whether any term in force looks at the teacher; else it is named in vain and not loaded."""
    if recipe.kdrl is not None:
        return recipe.kdrl.fixed_ratio != 0
    return any(one.compares_features or "teacher" in one.build(student, None).needs for one in objectives)


def band_teachers_of(objectives: Mapping[str, ObjectiveSettings]) -> dict[str, list[Path]]:
    """The saved models that each objective has for its bands."""
    named = {name: getattr(settings, "teachers", []) for name, settings in objectives.items()}
    return {name: places for name, places in named.items() if places}


def build_taps(
    student: SpeechEnhancer, teacher: TeacherSource | None, objectives: Mapping[str, tuple[float, Objective]]
) -> FeatureTaps | None:
    """Taps at every module that an objective names."""
    names = tap_names(objectives, "student_taps")
    if not names or teacher is None:
        return None
    of_teacher = Taps(teacher.network, tap_names(objectives, "teacher_taps"), "teacher")
    return FeatureTaps(Taps(student, names, "student"), of_teacher)


def tap_names(objectives: Mapping[str, tuple[float, Objective]], side: str) -> list[str]:
    """The modules that the objectives look at on one side, each once."""
    return list(
        dict.fromkeys(n for _, objective in objectives.values() for n in getattr(objective, side, ()))
    )


def build_student(student: str | dict[str, Any]) -> SpeechEnhancer:
    """A new network from a preset or settings, or a saved model to go on from."""
    return load_model(str(student)) if is_saved_model(student) else build_model(student)


def is_saved_model(student: str | dict[str, Any]) -> bool:
    """A preset's name stands for fresh weights; `ready-made:NAME` for those that come with the package."""
    return isinstance(student, str) and (student.startswith(PREFIX) or is_taken(Path(student) / CARD))
