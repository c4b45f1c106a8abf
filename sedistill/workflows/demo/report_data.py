"""What the demo's page says: from the folders a demo left behind to plain data for the page."""

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.common.provenance import Provenance
from sedistill.common.report.figures import Curve, CurveFigure, GapPanel, Role, SpectrogramPanel
from sedistill.common.report.page import Metric, Player, ReportData, Score, System, Track, human_count
from sedistill.common.settings import load_settings
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.metrics import METRICS as QUALITY
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores, load_scores
from sedistill.inference.enhancing import enhance
from sedistill.models.saving import load_model, read_card
from sedistill.training.recipe.objectives import BinObjective
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.run_summary import clip_text
from sedistill.training.tasks import level_gain
from sedistill.workflows.demo.conclusion import verdict
from sedistill.workflows.demo.demo_folder import SEED, SETS, SNR_DB, STUDENTS, TEACHER, Demo

NAMES: dict[Role, str] = {"alone": "student alone", "distilled": "distilled student", "teacher": "teacher"}
HINTS = {
    "si_sdr": "how much of the output is the speech",
    "pesq_wb": "estimated opinion of listeners, 1 to 4.6",
    "stoi": "intelligibility, 0 to 1",
}
PLAYERS = 6
PLAYED_SNR_DB = 5.0


Waves = dict[Role, NDArray[np.float32]]


def demo_report(demo: Demo) -> ReportData:
    """Everything the page shows, read back from the demo's folders."""
    scores = load_scores(demo.place("evaluation"))["test"]
    systems = _systems(demo, scores)
    chosen = _clips_to_show(scores)
    waves = _waves(demo, [clip.clip for clip in chosen])
    recipe = load_settings(Recipe, *demo.recipe_arguments("distilled"))
    spectrograms, gap = _pictures(recipe, waves[0])
    by_role = {system.role: system for system in systems}
    student, teacher = by_role["alone"], by_role["teacher"]
    return ReportData(
        title="A small network learns from a larger one",
        summary=(
            f"A student of {human_count(student.parameters or 0)} parameters learnt to take the noise off "
            f"speech, once alone and once with a teacher to imitate: {TEACHER}, which comes ready-made "
            f"({human_count(teacher.parameters or 0)} parameters; complex L2 with DISPatch). "
            "Data, steps, first weights, order of batches, weight of the enhancement loss and gradient "
            "clipping were the same both times."
        ),
        systems=systems,
        metrics=[Metric(key, scores.label(key), HINTS[key], QUALITY[key].digits) for key in scores.metrics],
        curves=_curves(demo),
        spectrograms=spectrograms,
        gap=gap,
        players=[_player(clip, wave, scores) for clip, wave in zip(chosen, waves, strict=True)],
        legend=[("#8a8f98", "Veiled patches were not distilled: there the teacher is least ahead.")],
        clip_scores=", ".join(scores.label(key) for key in scores.metrics),
        reading=verdict(systems, demo),
        commands=[(why, line.format(recipes=demo.place("recipes"))) for why, line in COMMANDS],
        facts=_facts(demo, scores, recipe),
    )


def spoken_summary(report: ReportData) -> str:
    """The same for the terminal: a line a system and what to make of it."""
    width = max(len(system.name) for system in report.systems)
    lines = []
    for system in report.systems:
        values = (
            f"{metric.label} {system.scores[metric.key].mean:.{metric.digits}f}" for metric in report.metrics
        )
        lines.append(f"  {system.name:<{width}}  {'   '.join(values)}")
    return "\n\n".join(["\n".join(lines), *report.reading])


def _systems(demo: Demo, scores: SetScores) -> list[System]:
    """Noisy and the three networks, in the order in which they were evaluated."""
    networks = [label for label in scores.models if label != NOISY]
    systems = [System("noisy input", "noisy", _scores(scores, NOISY))]
    for (run, name), label in zip(NAMES.items(), networks, strict=True):
        card = read_card(demo.network(run))
        sizes = (card["parameters"], card["macs_per_second"])
        systems.append(System(name, run, _scores(scores, label), *sizes))
    return systems


def _scores(scores: SetScores, label: str) -> dict[str, Score]:
    result = {}
    for metric in scores.metrics:
        mean = scores.statistic(label, metric)
        better = None if label == NOISY else scores.improvement_statistic(label, metric).mean
        result[metric] = Score(mean.mean, mean.sd, mean.n, mean.of, better)
    return result


def _curves(demo: Demo) -> list[CurveFigure]:
    logs = {run: read_metrics(demo.place(f"runs/{run}")) for run in STUDENTS}
    kd_name = next(name for name in logs["distilled"] if name.startswith("kd/"))
    ahead = f"{kd_name.removeprefix('kd/')}/positive_gap_share"

    def curves(key: str) -> list[Curve]:
        return [_curve(NAMES[run], run, logs[run][key]) for run in STUDENTS if key in logs[run]]

    return [
        CurveFigure(
            "On the validation set", "enhancement loss", curves("valid/se"),
            "Mean over clips that no network trains on, of the averaged weights; lower is better.",
        ),
        CurveFigure(
            "On the training batches", "enhancement loss", curves("se"),
            "The enhancement term of the loss as it came, batch after batch.",
        ),
        CurveFigure(
            "Distance to the teacher", "KD term", curves(kd_name),
            "The distillation term before its weight: compressed complex spectra, in the patches kept.",
        ),
        CurveFigure(
            "Where the teacher is ahead", "share of patches", curves(ahead),
            "Patches whose knowledge gap is positive: there the student can still learn from the teacher.",
        ),
    ]  # fmt: skip


def _curve(label: str, role: Role, points: list[tuple[int, float]]) -> Curve:
    steps, values = zip(*points, strict=True)
    return Curve(label, role, steps, values)


def _clips_to_show(scores: SetScores) -> list[ClipScore]:
    """Clips of different noises whose SNR is nearest to one at which differences can be heard."""
    rows = sorted(
        (row for row in scores.clips if row.model == NOISY), key=lambda row: abs(row.snr_db - PLAYED_SNR_DB)
    )
    first_of_class: dict[str, ClipScore] = {}
    for row in rows:
        first_of_class.setdefault(row.noise_class, row)
    return list(first_of_class.values())[:PLAYERS]


def _waves(demo: Demo, clips: list[str]) -> list[Waves]:
    """The versions of each clip, at the level of the clean speech."""
    networks = {run: load_model(demo.network(run)) for run in NAMES}
    pairs = FixedSet(demo.place("sets/test"))
    # Evaluations of earlier versions call clips by their files.
    places = {name: i for i in range(len(pairs)) for name in (pairs.name(i), pairs.clip_id(i))}
    result = []
    for clip in clips:
        noisy, clean = pairs[places[clip]]
        enhanced = {run: enhance(network, noisy, network.sample_rate) for run, network in networks.items()}
        result.append({"noisy": noisy, **enhanced, "clean": clean})
    return result


def _player(clip: ClipScore, waves: Waves, scores: SetScores) -> Player:
    names: dict[Role, str] = {"noisy": "noisy", **NAMES, "clean": "clean"}
    labels = dict(zip(("noisy", *NAMES), scores.models, strict=True))
    tracks = [
        Track(name, role, waves[role], scores.clip_text(labels.get(role, ""), clip.clip))
        for role, name in names.items()
    ]
    return Player(f"{clip.noise_class.capitalize()}, {clip.snr_db:.0f} dB", 16_000, tracks)


def _pictures(recipe: Recipe, waves: Waves) -> tuple[list[SpectrogramPanel], GapPanel]:
    """Spectrograms of one clip, and what the objective sees and selects in it."""
    settings = recipe.objectives[0]
    assert isinstance(settings, BinObjective)
    objective = settings.build(torch.nn.Module(), None)
    stft = objective.stft
    bin_hz, frame_seconds = 16_000 / stft.window_length, stft.hop_length / 16_000
    batch = {name: torch.from_numpy(wave)[None] for name, wave in waves.items()}
    gain = level_gain(batch["clean"], recipe.kd_level_db)
    signals = (gain * batch[name] for name in ("distilled", "teacher", "clean", "noisy"))
    seen = objective.explain(*signals)
    taught = seen.selected_bins[0].numpy()
    crossover = None if seen.crossover is None else seen.crossover[0].numpy()

    def level_db(name: Role) -> NDArray[np.float32]:
        return (20 * stft(batch[name])[0].abs().clamp(min=1e-6).log10()).numpy()

    names: dict[Role, str] = {"noisy": "noisy", "clean": "clean", **NAMES}
    panels = [SpectrogramPanel(title, level_db(name), bin_hz, frame_seconds) for name, title in names.items()]
    lesson = "what the teacher teaches"
    panels.append(SpectrogramPanel(lesson, level_db("teacher"), bin_hz, frame_seconds, taught, crossover))
    gap = seen.gap_per_bin[0].numpy()
    return panels, GapPanel("knowledge gap", gap, bin_hz, frame_seconds, taught, crossover)


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


def _facts(demo: Demo, scores: SetScores, recipe: Recipe) -> list[tuple[str, str]]:
    cards = {run: read_card(demo.network(run)) for run in STUDENTS}
    steps = ", ".join(f"{NAMES[run]} {cards[run]['training']['steps']}" for run in cards)
    gains = ", ".join(f"{NAMES[run]} {cards[run]['output_gain']:.2f}" for run in cards)
    sets = ", ".join(f"{split} {count} × {seconds:g} s" for split, (count, seconds) in SETS.items())
    minutes = ", ".join(f"{title.lower()} {taken:.1f}" for title, taken in demo.minutes.items())
    se_weight, kd_weight = recipe.se_weight, recipe.kd_weight
    return [
        ("seed", str(SEED)),
        ("mixtures", f"{sets}; SNR {SNR_DB[0]:g} to {SNR_DB[1]:g} dB"),
        ("splits", "no voice and no recording of noise in two of them; four kinds of noise in test only"),
        ("training steps", f"{steps}; batches of {recipe.optimiser.batch_size}"),
        ("weights", f"enhancement loss {se_weight:g}, distillation {kd_weight:g}"),
        ("gradients", clip_text(recipe.optimiser)),
        ("level factor", f"{gains} (onto clean speech, applied)"),
        ("minutes", f"{sum(demo.minutes.values()):.1f}: {minutes}"),
        *Provenance.now().lines(),
        ("everything", f"{demo.folder.absolute()} holds recordings, sets, runs, networks and scores"),
    ]  # fmt: skip
