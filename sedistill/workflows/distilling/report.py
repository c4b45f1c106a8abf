"""The page about a result: scores, what they say, sound, spectrograms, curves, and how to go on by hand."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from sedistill.audio.files import probe, read_mono
from sedistill.audio.listing import audio_below
from sedistill.audio.spectrum import Stft
from sedistill.common.errors import UserError
from sedistill.common.progress import duration_text
from sedistill.common.provenance import Provenance
from sedistill.common.report.figures import Curve, CurveFigure, Role, SpectrogramPanel
from sedistill.common.report.page import (
    Metric,
    Player,
    ReportData,
    Score,
    System,
    Track,
    human_count,
    write_page,
)
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.metrics import METRICS
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.inference.enhancing import enhance
from sedistill.models.base import SpeechEnhancer
from sedistill.models.saving import load_model
from sedistill.training.run_folder.logs import read_metrics
from sedistill.workflows.distilling.conclusions import NAMES, of_mixtures, verdicts
from sedistill.workflows.distilling.recipes import DISTILLED, TEACHER
from sedistill.workflows.distilling.result_folder import STUDENT, ResultFolder
from sedistill.workflows.distilling.told import TITLES

ORDER: tuple[Role, ...] = ("noisy", "alone", "distilled", "teacher")
HINTS = {
    "pesq_wb": "estimated opinion of listeners, 1 to 4.6",
    "stoi": "intelligibility, 0 to 1",
    "si_sdr": "how much of the output is the speech",
}
PLAYERS, RECORDINGS = 6, 4
PLAYED_SNR_DB = 5.0
RECORDING_SECONDS = 10.0
"""Of each of the user's own recordings, for the page; the whole is in enhanced/."""

Waves = dict[Role, NDArray[np.float32]]


def write_report(
    work: ResultFolder, models: Mapping[str, Path], scores: SetScores, labels: Mapping[str, str]
) -> Path:
    """Write report.html; print what it says. models: places of the saved networks, by name."""
    networks = {name: load_model(place) for name, place in models.items()}
    report = report_data(work, networks, scores, labels)
    path = work.place("report.html")
    write_page(report, path)
    print("\n".join([*_lines(report), "", *report.reading]))
    print(f"\nThe student is {work.place(STUDENT)}, the page {path}.")
    return path


def report_data(
    work: ResultFolder,
    networks: Mapping[str, SpeechEnhancer],
    scores: SetScores,
    labels: Mapping[str, str],
) -> ReportData:
    """Everything the page shows."""
    reading, scores = verdicts(scores, labels), of_mixtures(scores)
    systems = [_system(role, networks, scores, labels) for role in ORDER if role in labels]
    clips = _clips_to_hear(scores)
    waves = [_clip_waves(work, networks, clip) for clip in clips]
    players = [
        _player(_title(clip), one, networks, _clip_texts(scores, labels, clip))
        for clip, one in zip(clips, waves, strict=True)
    ]
    student, teacher = networks[DISTILLED], networks[TEACHER]
    return ReportData(
        title=f"{_name(student)}, distilled from {_name(teacher)}",
        summary=(
            f"A network of {human_count(_parameters(student))} parameters learnt to take the noise off "
            f"speech, from your recordings and from a teacher of {human_count(_parameters(teacher))}."
        ),
        systems=systems,
        metrics=[
            Metric(key, scores.label(key), HINTS.get(key, ""), METRICS[key].digits) for key in scores.metrics
        ],
        curves=_curves(work, networks),
        spectrograms=_spectrograms(waves[0], networks),
        gap=None,
        clip_scores=", ".join(scores.label(key) for key in scores.metrics),
        players=[*players, *_recording_players(work, networks)],
        reading=reading,
        commands=_commands(work),
        facts=_facts(work, scores, networks),
    )


def _system(
    role: Role, networks: Mapping[str, SpeechEnhancer], scores: SetScores, labels: Mapping[str, str]
) -> System:
    of_metrics = {}
    for metric in scores.metrics:
        mean = scores.statistic(labels[role], metric)
        gain = None if role == NOISY else scores.improvement_statistic(labels[role], metric).mean
        of_metrics[metric] = Score(mean.mean, mean.sd, mean.n, mean.of, gain)
    if role == NOISY:
        return System(NAMES[role], role, of_metrics)
    card = networks[role].card
    return System(NAMES[role], role, of_metrics, card["parameters"], card["macs_per_second"])


def _lines(report: ReportData) -> list[str]:
    """A line a system, for the terminal."""
    width = max(len(system.name) for system in report.systems)
    return [
        f"  {system.name:<{width}}  "
        + "   ".join(
            f"{metric.label} {system.scores[metric.key].mean:.{metric.digits}f}" for metric in report.metrics
        )
        for system in report.systems
    ]


def _clips_to_hear(scores: SetScores) -> list[ClipScore]:
    """Clips whose SNR is nearest to one at which differences can be heard, of different noises first."""
    rows = sorted(scores.rows(NOISY), key=lambda row: abs(row.snr_db - PLAYED_SNR_DB))
    heard: dict[str, int] = {}
    turns: list[tuple[int, int, ClipScore]] = []
    for row in rows:
        turns.append((heard.setdefault(row.noise_class, 0), len(turns), row))
        heard[row.noise_class] += 1
    return [row for *_, row in sorted(turns, key=lambda turn: turn[:2])][:PLAYERS]


def _clip_waves(work: ResultFolder, networks: Mapping[str, SpeechEnhancer], clip: ClipScore) -> Waves:
    pairs = FixedSet(work.place("sets/test"))
    place = next(index for index in range(len(pairs)) if pairs.clip_id(index) == clip.clip)
    noisy, clean = pairs[place]
    return {"noisy": noisy, **_enhanced(networks, noisy), "clean": clean}


def _enhanced(networks: Mapping[str, SpeechEnhancer], noisy: NDArray[np.float32]) -> Waves:
    return {
        role: enhance(networks[role], noisy, networks[role].sample_rate) for role in ORDER if role in networks
    }


def _clip_texts(scores: SetScores, labels: Mapping[str, str], clip: ClipScore) -> dict[str, str]:
    return {role: scores.clip_text(label, clip.clip) for role, label in labels.items()}


def _player(
    title: str,
    waves: Waves,
    networks: Mapping[str, SpeechEnhancer],
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Player:
    names = NAMES | {"clean": "clean speech"}
    tracks = [Track(names[role], role, wave, texts.get(role, "")) for role, wave in waves.items()]
    return Player(title, networks[DISTILLED].sample_rate, tracks)


def _title(clip: ClipScore) -> str:
    return f"{clip.noise_class.capitalize()}, {clip.snr_db:.0f} dB"


def _recording_players(work: ResultFolder, networks: Mapping[str, SpeechEnhancer]) -> list[Player]:
    """The beginnings of the user's own recordings, as they are and enhanced."""
    folder, rate = work.asked.noisy, networks[DISTILLED].sample_rate
    players: list[Player] = []
    if folder is None:
        return players
    for file in audio_below(folder).files:
        if len(players) == RECORDINGS:
            break
        try:
            frames = min(
                probe(folder / file).frames, round(RECORDING_SECONDS * probe(folder / file).sample_rate)
            )
            noisy = read_mono(folder / file, rate, 0, frames)
        except UserError:
            continue  # enhancing has said why
        if len(noisy):
            waves: Waves = {"noisy": noisy, **_enhanced(networks, noisy)}
            players.append(_player(f"Your recording {file}", waves, networks))
    return players


def _spectrograms(waves: Waves, networks: Mapping[str, SpeechEnhancer]) -> list[SpectrogramPanel]:
    stft, rate = Stft(), networks[DISTILLED].sample_rate
    names = NAMES | {"clean": "clean speech"}
    panels = []
    for role, wave in waves.items():
        level_db = 20 * stft(torch.from_numpy(wave)[None])[0].abs().clamp(min=1e-6).log10()
        hop_seconds = stft.hop_length / rate
        panels.append(SpectrogramPanel(names[role], level_db.numpy(), rate / stft.window_length, hop_seconds))
    return panels


def _curves(work: ResultFolder, networks: Mapping[str, SpeechEnhancer]) -> list[CurveFigure]:
    runs: list[Role] = [role for role in ("alone", "distilled") if role in networks]
    logs = {run: read_metrics(work.student(run).parent) for run in runs}
    kd_name = next((name for name in logs["distilled"] if name.startswith("kd/")), "")

    def curves(key: str) -> list[Curve]:
        of_runs = [(run, logs[run][key]) for run in runs if key in logs[run]]
        return [
            Curve(NAMES[run], run, [step for step, _ in points], [value for _, value in points])
            for run, points in of_runs
        ]

    return [
        CurveFigure(
            "On the validation set", "loss", curves("valid/se"),
            "The student's own loss on mixtures that it does not learn from; lower is better.",
        ),
        CurveFigure(
            "On the training batches", "loss", curves("se"), "The same, as it came, batch after batch."
        ),
        CurveFigure(
            "Distance to the teacher", "KD term", curves(kd_name), "The distillation term before its weight."
        ),
    ]  # fmt: skip


def _commands(work: ResultFolder) -> list[tuple[str, str]]:
    """The use of the student, how to go on, and where the single commands are."""
    folder, next_folder = work.folder, work.folder.with_name(f"{work.folder.name}-2")
    lines = [
        ("use it", ["sedistill", "enhance", "noisy.wav", "--model", folder / STUDENT, "-o", "enhanced.wav"]),
        (
            "more noise of your place",
            ["sedistill", "distil", "--from", folder, "--noise", "MORE", "-o", next_folder],
        ),
        ("everything by hand; recipes to edit lie beside it", ["less", folder / "commands.sh"]),
    ]
    return [(why, shlex.join(map(str, words))) for why, words in lines]


def _facts(
    work: ResultFolder, scores: SetScores, networks: Mapping[str, SpeechEnhancer]
) -> list[tuple[str, str]]:
    asked, decided = work.asked, work.decided
    assert decided is not None
    training = {name: networks[name].card["training"] for name in networks if name != TEACHER}
    minutes = ", ".join(
        f"{TITLES[name].lower() if name in TITLES else 'measure and plan'} {seconds / 60:.1f}"
        for name, seconds in work.seconds.items()
    )
    return [
        ("speech", str(asked.clean)),
        ("noise", str(asked.noise)),
        ("mixtures", ", ".join(f"{split} {count}" for split, count in decided.clips.items())),
        ("steps", ", ".join(f"{name} {one['steps']}" for name, one in training.items())),
        ("asked", f"{asked.hours:g} h; it took {duration_text(work.spent_now)} so far"),
        ("minutes", minutes),
        *Provenance.now().lines(),
        ("everything", str(work.folder.absolute())),
    ]


def _name(network: SpeechEnhancer) -> str:
    return network.preset or type(network).__name__


def _parameters(network: SpeechEnhancer) -> int:
    return int(network.card["parameters"])
