"""The recipes of the runs, as `sedistill train` takes them: the settings that served small networks best.

They are those of the experiments in docs/distil.md; whoever knows better edits the written recipes and goes
on by hand.
"""

from typing import Any

from sedistill.common.yaml_files import yaml_text

TEACHER, DISTILLED, ALONE = "teacher", "distilled", "alone"
SEED = 0
CLIP_SECONDS, BATCH_SIZE = 2.0, 4
LEARNING_RATE, FINE_TUNING_RATE = 2e-3, 5e-4
WARMUP_SHARE, MOST_WARMUP_STEPS = 0.05, 200
AVERAGED_SHARE, FEWEST_AVERAGED, MOST_AVERAGED = 0.03, 10, 1000
"""Steps over which weights are averaged."""

SE_LOSS = "gtcrn"
"""Of every network, whatever its authors took: in some thousand steps none leads further (docs/distil.md)."""
EVERYWHERE = {"loss": "complex_l2", "power": 0.3}
SELECTED = {**EVERYWHERE, "keep": 0.5}
"""DISPatch: with every seed better than everywhere or by chance, on three sets (docs/note.md)."""
KD_OVER_SE = 1.0
"""Of the lengths that were tried, 1 and 4 times, the one that gained away from home and lost nothing at home
(docs/evidence.md)."""

WITHOUT_TEACHER: dict[str, Any] = {"name": ALONE, "teacher": None, "objectives": [], "kd_over_se": None}
"""In what the recipe of the student alone differs from that of the distilled one."""

COMMENTS = {
    TEACHER: "A larger network of the student's kind, trained on mixtures that are made on the fly.",
    DISTILLED: "The student learns from clean speech and from the teacher's output, compared as compressed\n"
    "# complex spectra, which pulls as strongly as its own loss.",
    ALONE: "The same student without the teacher: same data, steps, first weights, order and weight of its\n"
    "# own loss, so that a difference between the two is the teacher's doing, or that of the seed.",
}


def optimiser(steps: int, fine_tunes: bool) -> dict[str, Any]:
    """AdamW, a short rise, then down along a cosine to 1 %; the mean of the last steps' weights is kept."""
    averaged = min(max(AVERAGED_SHARE * steps, FEWEST_AVERAGED), MOST_AVERAGED)
    return {
        "learning_rate": FINE_TUNING_RATE if fine_tunes else LEARNING_RATE,
        "weight_decay": 0.01,
        "ema_decay": round(1 - 1 / averaged, 4),
        "batch_size": BATCH_SIZE,
        "schedule": "cosine",
        "warmup_steps": min(MOST_WARMUP_STEPS, round(WARMUP_SHARE * steps)),
        "max_steps": steps,
        "max_epochs": steps,  # the steps decide
    }


def student_recipe(
    student: str | dict[str, Any],
    teacher: str | dict[str, Any],
    steps: int,
    threads: int,
    fine_tunes: bool = False,
    noisy: str | None = None,
) -> dict[str, Any]:
    """The distilled student's; paths are relative to the result's folder.

    noisy: recordings without clean speech, of which one clip of each batch is then a crop. Nobody knows where
        the teacher is ahead in these, so it is followed everywhere.
    """
    learnt_from = {"noisy": noisy, "noisy_share": 1 / BATCH_SIZE} if noisy else {}
    return {
        "name": DISTILLED,
        "seed": SEED,
        "student": student,
        "teacher": teacher,
        "data": {"train": "sets/train", "valid": "sets/valid", "valid_clips": None, **learnt_from},
        "se_loss": SE_LOSS,
        "se_weight": 0.5,
        "kd_over_se": KD_OVER_SE,
        "kd_level_db": None,
        "objectives": [EVERYWHERE if noisy else SELECTED],
        "optimiser": optimiser(steps, fine_tunes),
        "hardware": {"threads": threads},
    }


def alone_recipe(noisy: str | None) -> dict[str, Any]:
    """What the recipe of the student without a teacher differs in; it sees the clips with clean speech."""
    recipe = {"base": f"{DISTILLED}.yaml", **WITHOUT_TEACHER}
    if noisy:
        recipe |= {"data": {"noisy": None}, "optimiser": {"batch_size": BATCH_SIZE - 1}}
    return recipe


def recipes_to_time(student: str | dict[str, Any], steps: int, threads: int) -> dict[str, dict[str, Any]]:
    """Those of both students by name, each whole, with a teacher that costs nothing."""
    distilled = student_recipe(student, "none", steps, threads)
    return {DISTILLED: distilled, ALONE: distilled | WITHOUT_TEACHER}


def teacher_recipe(
    network: str, steps: int, threads: int, mixing: dict[str, Any], epoch_mixtures: int
) -> dict[str, Any]:
    """The larger network's."""
    return {
        "name": TEACHER,
        "seed": SEED,
        "student": network,
        "se_loss": SE_LOSS,
        "data": {
            "train": "corpus",
            "valid": "sets/valid",
            "valid_clips": None,
            "mixing": mixing,
            "epoch_mixtures": epoch_mixtures,
        },
        "optimiser": optimiser(steps, fine_tunes=False),
        "hardware": {"threads": threads},
    }


def recipe_text(name: str, recipe: dict[str, Any]) -> str:
    """A recipe as a file, with what it is for."""
    return f"# {COMMENTS[name]}\n{yaml_text(recipe)}"
