"""How a mixture that was drawn becomes audio: read, brought to its levels and SNR, degraded."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sedistill.audio import levels
from sedistill.audio.combine import join, mix_at_snr
from sedistill.common.errors import UserError
from sedistill.data.corpus import Corpus
from sedistill.data.degradations import coded, low_passed
from sedistill.data.mix_sources import Material, Piece
from sedistill.data.mixing import MixingSettings, MixturePlan, plan_mixture

# A segment whose RMS lies further below its recording's active level is nearly all pause: draw again.
QUIETEST_SPEECH_DB = 10.0
QUIETEST_NOISE_DB = 40.0
ATTEMPTS = 10


@dataclass(frozen=True)
class Mixture:
    """A mixture (T,) and its clean speech (T,). `guard` is below 1 where it would have clipped."""

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    plan: MixturePlan
    guard: float


def make_mixture(seed: int, epoch: int, index: int, material: Material, settings: MixingSettings) -> Mixture:
    """Draw and render mixture `index` of `epoch`; raises as `render_one_of` does."""
    return render_one_of(
        lambda attempt: plan_mixture(seed, epoch, index, material, settings, attempt), material
    )


def render_one_of(plan_of_attempt: Callable[[int], MixturePlan], material: Material) -> Mixture:
    """Render the first plan that can be heard: whose speech is not nearly all pause, its noise not silent.

    After ten plans the loudest places of the recordings of the first are taken. Raises UserError when even
    they are silent, which files that passed the checks are not.
    """
    for attempt in range(ATTEMPTS):
        mixture = _render(plan_of_attempt(attempt), material)
        if mixture is not None:
            return mixture
    plan = _at_loudest(plan_of_attempt(0), material)
    mixture = _render(plan, material, accept_quiet=True)
    if mixture is None:
        speech, noise = material.speech.path(plan.speech.clip), material.noise.path(plan.noise[0].clip)
        raise UserError(f"{speech} or {noise} is silent now; prepare {material.speech.folder} again.")
    return mixture


def _render(plan: MixturePlan, material: Material, accept_quiet: bool = False) -> Mixture | None:
    """The mixture, or None when what was drawn is too quiet to be what it stands for."""
    speech = material.speech.read(plan.speech.clip, plan.speech.start, plan.speech.frames)
    whole_level_db = material.speech.number("active_level_db", plan.speech.clip)
    rms_db, speech_db = levels.rms_and_active_level_db(speech, material.sample_rate)
    target = speech
    if plan.room is not None:
        speech, target = plan.room.heard_in(speech, material.sample_rate)
        rms_db, speech_db = levels.rms_and_active_level_db(speech, material.sample_rate)
    if rms_db < whole_level_db - QUIETEST_SPEECH_DB and not accept_quiet:
        return None
    noise = _read_noise(plan, material)
    noise_rms_db, noise_db = levels.rms_and_active_level_db(noise, material.sample_rate)
    recorded_db = material.noise.number("active_level_db", plan.noise[0].clip)
    if speech_db == -np.inf or noise_db == -np.inf:
        return None
    if noise_db < recorded_db - QUIETEST_NOISE_DB and not accept_quiet:
        return None
    clean = _placed(speech, plan.speech_offset, plan.frames)
    speech_peak = math.inf if plan.room else float(material.speech.number("peak", plan.speech.clip))
    joined = len(plan.noise) > 1
    noise_peak = math.inf if joined else float(material.noise.number("peak", plan.noise[0].clip))
    level_db = speech_db if plan.level_db is None else plan.level_db
    if plan.snr_on == "rms":  # the level stays one of active speech, whatever the SNR compares
        level_db, speech_db, noise_db = level_db - speech_db + rms_db, rms_db, noise_rms_db
    noisy, clean, guard = mix_at_snr(
        clean, noise, plan.snr_db, level_db, speech_db, noise_db, speech_peak, noise_peak
    )
    if plan.heard == "noise":
        noisy, clean = noisy - clean, np.zeros_like(clean)
    elif plan.heard == "speech":
        noisy = clean.copy()
    if plan.room is not None and plan.heard != "noise":
        gain = guard * levels.db_to_gain(level_db - speech_db)
        clean = _placed(target, plan.speech_offset, plan.frames) * np.float32(gain)
    if plan.cutoff_hz is not None:
        noisy, clean = (low_passed(side, plan.cutoff_hz, material.sample_rate) for side in (noisy, clean))
    if plan.room is not None or plan.cutoff_hz is not None:  # both may raise peaks beyond the first guard
        again = levels.clipping_guard(noisy, clean)
        noisy, clean, guard = noisy * np.float32(again), clean * np.float32(again), guard * again
    if plan.codec is not None:
        noisy = coded(noisy, plan.codec, material.sample_rate)
    return Mixture(noisy, clean, plan, guard)


def _at_loudest(plan: MixturePlan, material: Material) -> MixturePlan:
    speech = around_peak(material.speech, plan.speech)
    first = around_peak(material.noise, plan.noise[0])
    return replace(plan, speech=speech, noise=(first, *plan.noise[1:]))


def around_peak(corpus: Corpus, piece: Piece) -> Piece:
    """As long a piece of the same recording with its loudest sample in the middle, as far as it goes."""
    start = corpus.loudest(piece.clip) - piece.frames // 2
    return replace(piece, start=min(max(start, 0), int(corpus.frames[piece.clip]) - piece.frames))


def _read_noise(plan: MixturePlan, material: Material) -> NDArray[np.float32]:
    """The pieces joined; later ones are brought to the active level of the first one's recording."""
    if len(plan.noise) == 1:
        piece = plan.noise[0]
        return material.noise.read(piece.clip, piece.start, piece.frames)
    noise = material.noise
    first_db = noise.number("active_level_db", plan.noise[0].clip)
    parts: dict[Piece, NDArray[np.float32]] = {}
    for piece in plan.noise:
        if piece not in parts:
            gain = levels.db_to_gain(first_db - noise.number("active_level_db", piece.clip))
            parts[piece] = noise.read(piece.clip, piece.start, piece.frames) * np.float32(gain)
    return join([parts[piece] for piece in plan.noise], plan.crossfade)[: plan.frames]


def _placed(samples: NDArray[np.float32], offset: int, frames: int) -> NDArray[np.float32]:
    if len(samples) == frames:
        return samples
    placed = np.zeros(frames, dtype=samples.dtype)
    placed[offset : offset + len(samples)] = samples
    return placed
