"""The page about a result: scores, what they say, sound, spectrograms, curves, and how to go on by hand."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from sedistill.audio.files import probe, read_mono
from sedistill.audio.listing import audio_below
from sedistill.common.errors import UserError
from sedistill.common.progress import duration_text
from sedistill.common.provenance import Provenance
from sedistill.common.report.counts import human_count
from sedistill.common.report.figures import Role
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.scores import SetScores
from sedistill.models.base import SpeechEnhancer
from sedistill.teachers.saved import SavedTeacher
from sedistill.teachers.source import TeacherSource
from sedistill.training.run_folder.logs import read_metrics
from sedistill.training.run_summary import teacher_lines
from sedistill.workflows.conclusions import of_mixtures, verdicts
from sedistill.workflows.distilling.networks import Named
from sedistill.workflows.distilling.recipes import TEACHER
from sedistill.workflows.distilling.result_folder import STUDENT, ResultFolder
from sedistill.workflows.distilling.stages import opened
from sedistill.workflows.distilling.told import TITLES
from sedistill.workflows.page_contents import (
    Networks,
    clip_player,
    clips_to_hear,
    enhanced,
    learning_curves,
    spectrograms,
    systems_in,
    waves_of,
)
from sedistill.workflows.training_page import Player, Track, TrainingPage

ORDER: tuple[Role, ...] = ("noisy", "alone", "distilled", "teacher")
RECORDINGS = 4
RECORDING_SECONDS = 10.0
"""Of each of the user's own recordings, for the page; the whole is in enhanced/."""


def write_report(
    work: ResultFolder, models: Mapping[str, Named], scores: SetScores, labels: Mapping[str, str]
) -> Path:
    """Write report.html; print what it says. models: the students and their teacher, by name."""
    sources = {role: opened(work, models[role]) for role in ORDER if role in models}
    networks = {
        role: one.teacher.network if isinstance(one.teacher, SavedTeacher) else one
        for role, one in sources.items()
    }
    page = result_page(work, networks, scores, labels)
    path = work.place("report.html")
    page.write(path)
    print(page.for_terminal())
    print(f"\nThe student is {work.place(STUDENT)}, the page {path}.")
    return path


def result_page(
    work: ResultFolder, networks: Networks, scores: SetScores, labels: Mapping[str, str]
) -> TrainingPage:
    """Everything the page shows."""
    reading, scores = verdicts(scores, labels), of_mixtures(scores)
    student, teacher = networks["distilled"], networks["teacher"]
    assert isinstance(student, SpeechEnhancer)
    size = "" if isinstance(teacher, TeacherSource) else f" of {human_count(teacher.card['parameters'])}"
    by_role = {role: labels[role] for role in ORDER if role in labels}
    pairs, rate = FixedSet(work.place("sets/test")), student.sample_rate
    clips = clips_to_hear(scores)
    waves = [waves_of(pairs, clip, networks) for clip in clips]
    students: tuple[Role, ...] = ("alone", "distilled")
    logs = {role: read_metrics(work.student(role).parent) for role in students if role in networks}
    players = [
        clip_player(clip, wave, rate, scores, by_role) for clip, wave in zip(clips, waves, strict=True)
    ]
    return TrainingPage(
        title=f"{_name(student)}, distilled from {_name(teacher)}",
        summary=(
            f"A network of {human_count(student.card['parameters'])} parameters learnt to take the noise off "
            f"speech, from your recordings and from a teacher{size}."
        ),
        scores=scores,
        systems=systems_in(by_role, networks),
        curves=learning_curves(logs),
        spectrograms=spectrograms(waves[0], rate),
        players=[*players, *_recording_players(work, rate, networks)],
        reading=reading,
        commands=_commands(work),
        facts=_facts(work, networks),
    )


def _recording_players(work: ResultFolder, rate: int, networks: Networks) -> list[Player]:
    """The beginnings of the user's own recordings, as they are and enhanced."""
    folder = work.asked.noisy
    players: list[Player] = []
    if folder is None:
        return players
    for file in audio_below(folder).files:
        if len(players) == RECORDINGS:
            break
        try:
            frames = round(RECORDING_SECONDS * probe(folder / file).sample_rate)
            noisy = read_mono(folder / file, rate, 0, min(frames, probe(folder / file).frames))
        except UserError:
            continue  # enhancing has said why
        if len(noisy):
            tracks = [Track(role, wave) for role, wave in enhanced(noisy, rate, networks).items()]
            players.append(Player(f"Your recording {file}", rate, tracks))
    return players


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


def _facts(work: ResultFolder, networks: Networks) -> list[tuple[str, str]]:
    asked, decided = work.asked, work.decided
    assert decided is not None
    students = {name: getattr(one, "card", {}) for name, one in networks.items() if name != TEACHER}
    teacher = networks["teacher"]
    sources = {"speech": asked.clean, "noise": asked.noise, "goes on from": asked.start}
    measured = teacher_lines(TEACHER, teacher, "kept outputs") if isinstance(teacher, TeacherSource) else []
    minutes = ", ".join(
        f"{TITLES[name].lower() if name in TITLES else 'measure and plan'} {seconds / 60:.1f}"
        for name, seconds in work.seconds.items()
    )
    return [
        *((name, str(folder)) for name, folder in sources.items() if folder is not None),
        ("mixtures", ", ".join(f"{split} {count}" for split, count in decided.clips.items())),
        *measured,
        ("steps", ", ".join(f"{name} {card['training']['steps']}" for name, card in students.items())),
        ("asked", f"{asked.hours:g} h; it took {duration_text(work.spent_now)} so far"),
        ("minutes", minutes),
        *Provenance.now().lines(),
        ("everything", str(work.folder.absolute())),
    ]


def _name(network: SpeechEnhancer | TeacherSource) -> str:
    if isinstance(network, TeacherSource):
        return network.name
    return network.preset or type(network).__name__
