"""The stages between two folders and a student.

Each leaves its result in a folder of its own, whole or not at all or to be gone on with, so that an
interrupted command goes on where it stopped.
"""

import io
import math
import shutil
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from sedistill.common.devices import choose_device, limit_threads
from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken, shown
from sedistill.common.report.printing import print_facts
from sedistill.common.settings import load_settings
from sedistill.common.writing import atomic_folder, write_whole
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.mixed_sets import mix
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare
from sedistill.data.set_files import TEACHER_OUTPUTS
from sedistill.evaluation.command import kept_scores
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY, SetScores, Statistic
from sedistill.inference.enhancing import enhance_files
from sedistill.models.saving import CARD
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import measure_on, open_teacher
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_summary import teacher_lines
from sedistill.workflows.distilling.networks import Named
from sedistill.workflows.distilling.plan import TEST_SECONDS, VALID_SECONDS
from sedistill.workflows.distilling.recipes import CLIP_SECONDS, DISTILLED, SEED, TEACHER, recipe_text
from sedistill.workflows.distilling.result_folder import (
    CHECKED,
    CORPUS,
    ENHANCED,
    RECIPES,
    SCORES,
    STUDENT,
    ResultFolder,
)
from sedistill.workflows.distilling.watched_trainings import Watched
from sedistill.workflows.jobs import Run, train_command

SPLIT_SECONDS = {"train": CLIP_SECONDS, "valid": VALID_SECONDS, "test": TEST_SECONDS}
LOWEST_SNR_DB = -5.0
HIGHEST_SNR_DB = {"train": 20.0, "valid": 15.0, "test": 15.0}
LEVEL_SPREAD_DB = 10.0
"""Around -26 dB: a student trained at one level fails at others."""
ALONE_SHARE = 0.05
"""Of the training mixtures: noise without speech, and as many with speech without noise."""
CHECKED_BY = ("pesq_wb", "stoi")
"""A teacher has to be above the noisy input by both."""
SCORED_BY = ("pesq_wb", "stoi", "si_sdr", "noise_only_db", "do_no_harm")


def mixing_of(split: str) -> MixingSettings:
    """How the mixtures of a split are made."""
    share = ALONE_SHARE if split == "train" else 0.0
    return MixingSettings(
        snr_db_low=LOWEST_SNR_DB, snr_db_high=HIGHEST_SNR_DB[split], clip_seconds=SPLIT_SECONDS[split],
        level_spread_db=LEVEL_SPREAD_DB, noise_only_share=share, clean_only_share=share,
    )  # fmt: skip


def prepare_corpus(work: ResultFolder, sample_rate: int) -> None:
    """Check and split the recordings."""
    if work.place(CORPUS).exists():
        return
    asked = work.asked
    made = prepare(
        work.place(CORPUS), clean=asked.clean, noise=asked.noise, sample_rate=sample_rate,
        join=None if asked.start is None else asked.start / CORPUS,
    )  # fmt: skip
    print(made.text())


def mix_sets(work: ResultFolder) -> None:
    """Mixtures to learn from, to validate with and to test on."""
    assert work.decided is not None
    for split, count in work.decided.clips.items():
        place = work.place(f"sets/{split}")
        if not place.exists():
            made = mix(work.place(CORPUS), place, split, count, SEED, mixing_of(split))
            print(made.text())


def write_recipe(work: ResultFolder, name: str, recipe: dict[str, Any]) -> None:
    """Write a recipe, once: a run that has begun goes on with the one it began with."""
    path = work.place(f"{RECIPES}/{name}.yaml")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, recipe_text(name, recipe))


def train_runs(
    work: ResultFolder, names: list[str], together: bool, threads: int, allowed: float = math.inf
) -> None:
    """Train the runs of these names, at the same time or one after another.

    Raises TooSlow where new trainings will take longer than `allowed` seconds, UserError for one that fails.
    """
    runs = [Run(name, SEED) for name in names]
    recipe = load_settings(Recipe, work.place(f"{RECIPES}/{names[0]}.yaml"))
    trainings = Watched(
        work.folder,
        jobs=len(runs) if together else 1,
        command=lambda run: train_command(work.place(f"{RECIPES}/{run.name}.yaml"), []),
        waits_for=lambda run: [],
        threads=threads,
        steps=recipe.optimiser.max_steps or 1,
        allowed=allowed,
    )
    trainings.train(runs)
    for run, why in trainings.failed.items():
        raise UserError(f"the training {run.name} failed: {why}")


def forget_runs(work: ResultFolder, names: list[str]) -> None:
    """Remove trainings, and then their recipes: interrupted between, the old recipes begin anew."""
    for name in names:
        shutil.rmtree(work.place(str(Run(name, SEED).folder)), ignore_errors=True)
    for name in names:
        work.place(f"{RECIPES}/{name}.yaml").unlink(missing_ok=True)


def opened(work: ResultFolder, teacher: Named) -> TeacherSource:
    """The teacher as `sedistill train` will open it, with what was measured of it kept where that looks."""
    valid = FixedSet(work.place("sets/valid"))
    source = open_teacher(teacher, valid.sample_rate)
    if not isinstance(teacher, TeacherFrom):
        return source
    on = valid if source.answers_live else FixedSet(work.place("sets/train"))
    return measure_on(source, teacher, on, place=on.folder / TEACHER_OUTPUTS)


def check_teacher(work: ResultFolder, teacher: Named) -> SetScores:
    """Say what was measured of the teacher, and score it on the validation set.

    Raises UserError where it is below the noisy input there, on average, by WB-PESQ or by STOI, unless it was
    asked to teach nevertheless.
    """
    if isinstance(teacher, TeacherFrom):
        print_facts(teacher_lines(TEACHER, opened(work, teacher), "kept outputs"))
    place, valid = work.place(CHECKED), work.place("sets/valid")
    scores = kept_scores(place, [teacher], valid, CHECKED_BY)
    label = next(model for model in scores.models if model != NOISY)
    told, weak = [], False
    for metric in CHECKED_BY:
        rows = zip(scores.rows(NOISY), scores.rows(label), strict=True)
        both = [(one.values[metric], other.values[metric]) for one, other in rows]
        known = [pair for pair in both if all(map(math.isfinite, pair))]  # of a silent output there is none
        noisy, output = (Statistic.over([pair[side] for pair in known]).mean for side in (0, 1))
        digits, left = METRICS[metric].digits, "" if known == both else f", on {len(known)} alone"
        told.append(f"{METRICS[metric].label} {output:.{digits}f} (noisy {noisy:.{digits}f}{left})")
        weak = weak or not output >= noisy - 10**-digits  # below that, it is rounding
    sentence = f"{', '.join(told)}, on {len(scores.rows(NOISY))} validation mixtures"
    if weak and not work.asked.weak_teacher:
        raise UserError(
            f"the teacher's output is worse than the noisy input: {sentence}. A student would learn that; "
            "choose another teacher in another place, or go on with the same command and --weak-teacher."
        )
    print(f"The teacher: {sentence}.")
    return scores


def keep_outputs(work: ResultFolder, teacher: Named) -> None:
    """The teacher's outputs for the training set, where `sedistill train` looks for them."""
    limit_threads()
    fixed = FixedSet(work.place("sets/train"))
    OutputCache(fixed.folder / TEACHER_OUTPUTS, fixed, opened(work, teacher)).open(str(choose_device("auto")))


def save_student(work: ResultFolder) -> Path:
    """The distilled student, where it is found."""
    place = work.place(STUDENT)
    if not is_taken(place / CARD):
        with atomic_folder(place, overwrite=True, marker=CARD) as temporary:
            shutil.copytree(work.student(DISTILLED), temporary, dirs_exist_ok=True)
    return place


def evaluate_all(work: ResultFolder, models: Sequence[Named]) -> SetScores:
    """Score the models, and the noisy input, on the test set."""
    return kept_scores(work.place(SCORES), models, work.place("sets/test"), SCORED_BY)


def enhance_recordings(work: ResultFolder) -> None:
    """The user's own noisy recordings through the distilled student."""
    asked, place = work.asked, work.place(ENHANCED)
    if asked.noisy is not None and not place.exists():
        with atomic_folder(place) as temporary, redirect_stdout(io.StringIO()):  # it tells of that place
            fault = _enhance(work.place(STUDENT), asked.noisy, temporary)
        print(f"Your recordings, enhanced, are in {shown(place)}.")
        if fault:
            print(f"note: {fault}")


def _enhance(student: Path, recordings: Path, place: Path) -> str:
    """Enhance what can be; returns the sentence about files that cannot, "" where all can."""
    try:
        enhance_files(student, [recordings], place)
    except UserError as error:
        return str(error)
    return ""
