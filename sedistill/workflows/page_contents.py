"""What pages about trained networks show, from scores, networks, sets and logs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.spectrum import Stft
from sedistill.common.report.figures import BinsPanel, Curve, CurveFigure, Role
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.inference.enhancing import enhance
from sedistill.models.base import SpeechEnhancer
from sedistill.teachers.source import TeacherSource
from sedistill.workflows.training_page import NAMES, Player, System, Track

PLAYERS, PLAYED_SNR_DB = 6, 5.0

Networks = Mapping[Role, SpeechEnhancer | TeacherSource]
"""Networks with a card, and teachers of other kinds, of which none tells its size."""
Waves = dict[Role, NDArray[np.float32]]
"""The versions of one clip, (T,) each."""


def systems_in(labels: Mapping[Role, str], networks: Networks) -> list[System]:
    """The noisy input and networks as columns. labels: among the scores, in this order."""
    systems = []
    for role, label in labels.items():
        card = getattr(networks.get(role), "card", {})
        systems.append(System(role, label, card.get("parameters"), card.get("macs_per_second")))
    return systems


def clips_to_hear(scores: SetScores) -> list[ClipScore]:
    """Clips whose SNR is nearest to one at which differences can be heard, of different noises first."""
    rows = sorted(scores.rows(NOISY), key=lambda row: abs(row.snr_db - PLAYED_SNR_DB))
    heard: dict[str, int] = {}
    turns: list[tuple[int, int, ClipScore]] = []
    for row in rows:
        turns.append((heard.setdefault(row.noise_class, 0), len(turns), row))
        heard[row.noise_class] += 1
    return [row for *_, row in sorted(turns, key=lambda turn: turn[:2])][:PLAYERS]


def waves_of(pairs: FixedSet, clip: ClipScore, networks: Networks) -> Waves:
    """A clip as it is, as each network makes it, and clean; at the level of the clean speech."""
    place = next(index for index in range(len(pairs)) if pairs.clip_id(index) == clip.clip)
    noisy, clean = pairs[place]
    return {**enhanced(noisy, pairs.sample_rate, networks), "clean": clean}


def enhanced(noisy: NDArray[np.float32], rate: int, networks: Networks) -> Waves:
    """Samples (T,) of this rate, which is the teachers', as they are, and as each network makes them."""
    return {
        "noisy": noisy,
        **{role: _estimate(network, noisy, rate) for role, network in networks.items()},
    }


def _estimate(
    network: SpeechEnhancer | TeacherSource, noisy: NDArray[np.float32], rate: int
) -> NDArray[np.float32]:
    if isinstance(network, TeacherSource):
        return network.on_wave(noisy)
    return enhance(network, noisy, rate)


def clip_player(
    clip: ClipScore, waves: Waves, rate: int, scores: SetScores, labels: Mapping[Role, str]
) -> Player:
    """The versions of a clip, each with its scores."""
    texts = {role: scores.clip_text(label, clip.clip) for role, label in labels.items()}
    tracks = [Track(role, wave, texts.get(role, "")) for role, wave in waves.items()]
    return Player(f"{clip.noise_class.replace('_', ' ').capitalize()}, {clip.snr_db:.0f} dB", rate, tracks)


def spectrograms(waves: Waves, rate: int, names: Mapping[str, str] = NAMES) -> list[BinsPanel]:
    """Of every version of a clip; names: what the roles are called."""
    stft = Stft()
    scales = rate / stft.window_length, stft.hop_length / rate
    return [BinsPanel(names[role], stft.level_db(wave), *scales) for role, wave in waves.items()]


def learning_curves(logs: Mapping[Role, Mapping[str, Sequence[tuple[int, float]]]]) -> list[CurveFigure]:
    """How students learnt, from the metrics that their runs logged; a figure for what was logged of any."""
    kd_name = next((name for name in logs["distilled"] if name.startswith("kd/")), "kd/")

    def curves(key: str) -> list[Curve]:
        points = {role: np.array(log[key]).T for role, log in logs.items() if key in log}
        return [Curve(NAMES[role], role, steps, values) for role, (steps, values) in points.items()]

    figures = [
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
            "The distillation term before its weight, in the patches kept.",
        ),
        CurveFigure(
            "Where the teacher is ahead", "share of patches",
            curves(f"{kd_name.removeprefix('kd/')}/positive_gap_share"),
            "Patches whose knowledge gap is positive: there the student can still learn from the teacher.",
        ),
    ]  # fmt: skip
    return [figure for figure in figures if figure.curves]
