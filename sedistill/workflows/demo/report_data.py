"""What the demo's page says: from the folders a demo left behind to plain data for the page."""

from collections.abc import Mapping

import numpy as np
import torch

from sedistill.common.provenance import Provenance
from sedistill.common.report.counts import human_count
from sedistill.common.report.figures import BinsPanel, Role
from sedistill.common.settings import load_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.scores import SetScores, load_scores
from sedistill.models.saving import load_model, read_card
from sedistill.training.gradients import KD_OVER_SE
from sedistill.training.recipe.objectives import BinObjective
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.run_summary import clip_text
from sedistill.training.tasks import level_gain
from sedistill.workflows.conclusions import verdicts
from sedistill.workflows.demo.demo_folder import NETWORKS, SEED, SETS, SNR_DB, STUDENTS, TEACHER, Demo
from sedistill.workflows.page_contents import (
    Waves,
    clip_player,
    clips_to_hear,
    learning_curves,
    spectrograms,
    systems_in,
    waves_of,
)
from sedistill.workflows.training_page import NAMES, TrainingPage


def demo_page(demo: Demo) -> TrainingPage:
    """Everything the page shows, read back from the demo's folders."""
    scores = load_scores(demo.place("evaluation"))["test"]
    labels: dict[Role, str] = dict(zip(("noisy", *NETWORKS), scores.models, strict=True))
    networks = {run: load_model(demo.network(run)) for run in NETWORKS}
    pairs = FixedSet(demo.place("sets/test"))
    chosen = clips_to_hear(scores)
    waves = [waves_of(pairs, clip, networks) for clip in chosen]
    recipe = load_settings(Recipe, *demo.recipe_arguments("distilled"))
    lesson, gap = _lesson(recipe, waves[0])
    sizes = {run: human_count(network.card["parameters"]) for run, network in networks.items()}
    return TrainingPage(
        title="A small network learns from a larger one",
        summary=(
            f"A student of {sizes['alone']} parameters learnt to take the noise off speech, once alone and "
            f"once with a teacher to imitate: {TEACHER}, which comes ready-made ({sizes['teacher']} "
            "parameters; complex L2 with DISPatch). Data, steps, first weights, order of batches, weight of "
            "the enhancement loss and gradient clipping were the same both times."
        ),
        scores=scores,
        systems=systems_in(labels, networks),
        curves=learning_curves({run: read_metrics(demo.place(f"runs/{run}")) for run in STUDENTS}),
        spectrograms=[*spectrograms(waves[0], 16_000), lesson],
        gap=gap,
        players=[
            clip_player(clip, wave, 16_000, scores, labels) for clip, wave in zip(chosen, waves, strict=True)
        ],
        legend=[("#8a8f98", "Veiled patches were not distilled: there the teacher is least ahead.")],
        reading=_reading(scores, labels, demo),
        commands=[(why, line.format(recipes=demo.place("recipes"))) for why, line in COMMANDS],
        facts=_facts(demo, recipe),
    )


def _reading(scores: SetScores, labels: Mapping[Role, str], demo: Demo) -> list[str]:
    """What the scores say, and what they do not."""
    balance = read_metrics(demo.place("runs/distilled")).get(KD_OVER_SE, [])
    ratio = float(np.median([value for _, value in balance])) if balance else float("nan")
    return [
        *verdicts(scores, {str(role): label for role, label in labels.items()}),
        "A few minutes of training and synthetic speech say little about a method. To find out more, train "
        "until nothing improves any more, on real recordings, with several seeds.",
        "Every network's output is brought to the level of the clean speech by one factor measured on the "
        "validation set. Over the run, the gradient of the distillation term was "
        f"{ratio:.2f} times as long as that of the enhancement term (median).",
    ]


def _lesson(recipe: Recipe, waves: Waves) -> tuple[BinsPanel, BinsPanel]:
    """What the objective sees and selects in one clip."""
    settings = recipe.objectives[0]
    assert isinstance(settings, BinObjective)
    objective = settings.build(torch.nn.Module(), None)
    stft = objective.stft
    scales = 16_000 / stft.window_length, stft.hop_length / 16_000
    batch = {name: torch.from_numpy(wave)[None] for name, wave in waves.items()}
    gain = level_gain(batch["clean"], recipe.kd_level_db)
    seen = objective.explain(*(gain * batch[name] for name in ("distilled", "teacher", "clean", "noisy")))
    marks = seen.selected_bins[0].numpy(), None if seen.crossover is None else seen.crossover[0].numpy()
    lesson = BinsPanel("what the teacher teaches", stft.level_db(waves["teacher"]), *scales, *marks)
    return lesson, BinsPanel("knowledge gap", seen.gap_per_bin[0].numpy(), *scales, *marks)


COMMANDS = (
    ("check the recordings and split them", "sedistill prepare --clean SPEECH --noise NOISE -o corpus"),
    (
        "mix sets that stay the same",
        "sedistill mix corpus --split valid -o sets/valid\nsedistill mix corpus --split test -o sets/test",
    ),
    (
        "train a student from the ready-made teacher: the demo's recipe is a start, with more steps",
        "sedistill train {recipes}/distilled.yaml -o runs/student \\\n"
        "    student=fastenhancer-t data.train=corpus data.valid=sets/valid optimiser.max_steps=20000",
    ),
    ("measure it", "sedistill evaluate runs/student/student --on sets/test -o scores"),
    ("use it", "sedistill enhance noisy.wav -o enhanced.wav --model runs/student/student"),
)


def _facts(demo: Demo, recipe: Recipe) -> list[tuple[str, str]]:
    cards = {run: read_card(demo.network(run)) for run in STUDENTS}
    steps = ", ".join(f"{NAMES[run]} {cards[run]['training']['steps']}" for run in cards)
    gains = ", ".join(f"{NAMES[run]} {cards[run]['output_gain']:.2f}" for run in cards)
    sets = ", ".join(f"{split} {count} × {seconds:g} s" for split, (count, seconds) in SETS.items())
    minutes = ", ".join(f"{title.lower()} {taken:.1f}" for title, taken in demo.minutes.items())
    return [
        ("seed", str(SEED)),
        ("mixtures", f"{sets}; SNR {SNR_DB[0]:g} to {SNR_DB[1]:g} dB"),
        ("splits", "no voice and no recording of noise in two of them; four kinds of noise in test only"),
        ("training steps", f"{steps}; batches of {recipe.optimiser.batch_size}"),
        ("gradient of distillation", f"kept {recipe.kd_over_se:g} x as long as the enhancement loss's"),
        ("gradients", clip_text(recipe.optimiser)),
        ("level factor", f"{gains} (onto clean speech, applied)"),
        ("minutes", f"{sum(demo.minutes.values()):.1f}: {minutes}"),
        *Provenance.now().lines(),
        ("everything", f"{demo.folder.absolute()} holds recordings, sets, runs, networks and scores"),
    ]  # fmt: skip
