"""Mixtures of clean speech and noise: what is drawn, and how it becomes audio.

Everything about mixture `index` of epoch `epoch` of a split is a function of (seed, split, epoch, index),
whatever process makes it and in whatever order.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sedistill.audio import levels
from sedistill.audio.combine import join, mix_at_snr
from sedistill.common.errors import UserError
from sedistill.common.settings import Settings, settings_of_texts
from sedistill.data.corpus import Corpus
from sedistill.data.degradations import Codec, Room, coded, low_passed
from sedistill.data.file_checks import SHORTEST_SECONDS
from sedistill.data.mix_sources import Material, Piece
from sedistill.data.randomness import DEGRADED, HEARD, philox, stream_of

# A segment whose RMS lies further below its recording's active level is nearly all pause: draw again.
QUIETEST_SPEECH_DB = 10.0
QUIETEST_NOISE_DB = 40.0
ATTEMPTS = 10


class MixingSettings(Settings):
    """How speech and noise are mixed."""

    snr_db_low: float = Field(0.0, ge=-100, le=100, allow_inf_nan=False)
    """The lowest SNR."""
    snr_db_high: float = Field(20.0, ge=-100, le=100, allow_inf_nan=False)
    """The highest SNR; it is uniform between the two."""
    snr_on: Literal["active", "rms"] = "active"
    """Levels that the SNR compares: active leaves pauses out, rms is over the whole clip."""
    clip_seconds: float | None = Field(4.0, ge=0.1, le=600, allow_inf_nan=False)
    """Length of a mixture; null takes whole recordings, one after another (fixed sets only)."""
    level_db: float = Field(-26.0, ge=-100, le=0, allow_inf_nan=False)
    """The middle of the active levels of the speech, dB full scale."""
    level_spread_db: float = Field(3.0, ge=0, le=60, allow_inf_nan=False)
    """The active level of the speech is uniform in level_db +- level_spread_db."""
    crossfade_ms: float = Field(10.0, ge=0, le=50, allow_inf_nan=False)
    """Overlap where recordings of noise are joined."""
    noise_only_share: float = Field(0.0, ge=0, le=1)
    """Of the mixtures: without their speech, so that the clean signal is silence."""
    clean_only_share: float = Field(0.0, ge=0, le=1)
    """Of the mixtures: without their noise, so that there is nothing to take away."""
    reverb_share: float = Field(0.0, ge=0, le=1)
    """Of the mixtures: speech in a simulated room (T60 0.15 to 0.8 s, direct up to 12 dB over late sound)."""
    early_ms: float = Field(50.0, ge=1, le=200)
    """How much of a room's response the clean signal keeps: early echoes help speech, later ones go."""
    bandlimit_share: float = Field(0.0, ge=0, le=1)
    """Of the mixtures: noisy and clean without what lies above a cutoff between 3.4 and 7 kHz."""
    codec_share: float = Field(0.0, ge=0, le=1)
    """Of the mixtures: the noisy signal alone through G.711 (mu-law, 8 kHz) or Ogg Vorbis."""

    @model_validator(mode="after")
    def _ordered(self) -> "MixingSettings":
        if self.snr_db_low > self.snr_db_high:
            raise ValueError(
                f"snr_db_low = {self.snr_db_low:g} lies above snr_db_high = {self.snr_db_high:g}; swap them."
            )
        if self.noise_only_share + self.clean_only_share > 1:
            raise ValueError("noise_only_share and clean_only_share are more than 1 together; lower them.")
        return self


def mixing_settings(overrides: Sequence[str]) -> MixingSettings:
    """Settings from texts such as "snr_db_low=-5"; the rest is default. Raises UserError."""
    return settings_of_texts(MixingSettings, overrides, "mixing setting")


@dataclass(frozen=True)
class MixturePlan:
    """Everything that was drawn for one mixture.

    Attributes:
        frames: length of the mixture in samples.
        speech: the piece of clean speech.
        speech_offset: where it begins; silence lies around speech shorter than the mixture.
        noise: pieces to be joined, each overlapping the one before by `crossfade` samples.
        snr_db: active level of the speech above that of the noise.
        level_db: active level of the speech; None leaves it as it was recorded.
        snr_on: the levels that the SNR compares.
        heard: what of the two is in the mixture.
        room: in which the speech is heard, if in any.
        cutoff_hz: above which both signals are empty, if anywhere.
        codec: through which the noisy signal goes, if any.
    """

    frames: int
    speech: Piece
    speech_offset: int
    noise: tuple[Piece, ...]
    crossfade: int
    snr_db: float
    level_db: float | None
    snr_on: Literal["active", "rms"] = "active"
    heard: Literal["both", "noise", "speech"] = "both"
    room: Room | None = None
    cutoff_hz: float | None = None
    codec: Codec | None = None


@dataclass(frozen=True)
class Mixture:
    """A mixture (T,) and its clean speech (T,). `guard` is below 1 where it would have clipped."""

    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    plan: MixturePlan
    guard: float


def plan_mixture(
    seed: int, epoch: int, index: int, material: Material, settings: MixingSettings, attempt: int = 0
) -> MixturePlan:
    """Draw mixture `index` of `epoch`; reads no audio. Another `attempt` draws other places, all else alike.

    Speech shorter than clip_seconds is put at a random place with pauses around it, never joined to other
    sentences. Short noise is joined with other recordings of its class, or looped where there is none.
    With clip_seconds None, mixture i is the whole of speech clip i (modulo their number).
    """
    rng = philox(seed, material.stream, epoch, index)
    pick_speech, pick_noise, snr, level = rng.random(4).tolist()
    # Drawing the recordings again as well would make those that often pause rarer than they are.
    rng = philox(seed, material.stream, epoch, index, attempt) if attempt else rng
    if settings.clip_seconds is None:
        speech_clip = index % len(material.speech)
        frames = int(material.speech_frames[speech_clip])
    else:
        speech_clip = _pick(pick_speech, material.speech_steps)
        frames = round(settings.clip_seconds * material.sample_rate)
    length = int(material.speech_frames[speech_clip])
    spare = length - frames
    place = int(rng.random() * (abs(spare) + 1))
    speech = Piece(speech_clip, place if spare > 0 else 0, min(length, frames))
    crossfade = round(settings.crossfade_ms * material.sample_rate / 1000)
    return MixturePlan(
        frames=frames,
        speech=speech,
        speech_offset=place if spare < 0 else 0,
        noise=plan_noise(rng, _pick(pick_noise, material.noise_steps), frames, crossfade, material),
        crossfade=crossfade,
        snr_db=settings.snr_db_low + snr * (settings.snr_db_high - settings.snr_db_low),
        level_db=settings.level_db + (2 * level - 1) * settings.level_spread_db,
        snr_on=settings.snr_on,
        heard=_draw_heard(seed, epoch, index, material, settings),
        **_draw_degradations(seed, epoch, index, material, settings),
    )


def _draw_degradations(
    seed: int, epoch: int, index: int, material: Material, settings: MixingSettings
) -> dict[str, Any]:
    """Drawn apart as well, and always all, so that no share changes what another one brings."""
    if not (settings.reverb_share or settings.bandlimit_share or settings.codec_share):
        return {}
    key = (seed, stream_of(DEGRADED, material.split), epoch, index)
    room, t60, direct, band, cutoff, codec, which = philox(*key).random(7).tolist()
    drawn: dict[str, Any] = {}
    if room < settings.reverb_share:
        drawn["room"] = Room(0.15 + 0.65 * t60, 12 * direct, settings.early_ms, key)
    if band < settings.bandlimit_share:
        drawn["cutoff_hz"] = 3_400 + 3_600 * cutoff
    if codec < settings.codec_share:
        drawn["codec"] = "g711" if which < 0.5 else "vorbis"
    return drawn


def _draw_heard(
    seed: int, epoch: int, index: int, material: Material, settings: MixingSettings
) -> Literal["both", "noise", "speech"]:
    """Drawn apart, so that all else about a mixture is the same whatever the shares are."""
    if not settings.noise_only_share and not settings.clean_only_share:
        return "both"
    draw = philox(seed, stream_of(HEARD, material.split), epoch, index).random()
    if draw < settings.noise_only_share:
        return "noise"
    return "speech" if draw < settings.noise_only_share + settings.clean_only_share else "both"


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


def plan_noise(
    rng: np.random.Generator, clip: int, frames: int, crossfade: int, material: Material
) -> tuple[Piece, ...]:
    """`frames` samples from a random place of noise clip `clip`, joined with others of its class if short."""
    lengths = material.noise_frames
    length = int(lengths[clip])
    if length >= frames:
        return (Piece(clip, int(rng.random() * (length - frames + 1)), frames),)
    # Start anywhere in the first recording, or mixtures would all begin with its onset.
    shortest = min(length, max(2 * crossfade, round(SHORTEST_SECONDS["noise"] * material.sample_rate)))
    start = int(rng.random() * (length - shortest + 1))
    pieces = [Piece(clip, start, length - start)]
    covered = length - start
    family = material.others_of_group(clip)
    while covered < frames:
        clip = _another(rng.random(), clip, family)
        wanted = max(frames - covered + crossfade, 2 * crossfade)
        length = int(lengths[clip])
        take = min(length, wanted)
        pieces.append(Piece(clip, int(rng.random() * (length - take + 1)), take))
        covered += take - crossfade
    return tuple(pieces)


def _another(draw: float, clip: int, family: NDArray[np.int64]) -> int:
    """A member of the family other than `clip`, or `clip` itself when it is alone."""
    if len(family) == 1:
        return clip
    own = int(np.searchsorted(family, clip))
    return int(family[(own + 1 + int(draw * (len(family) - 1))) % len(family)])


def _render(plan: MixturePlan, material: Material, accept_quiet: bool = False) -> Mixture | None:
    """The mixture, or None when what was drawn is too quiet to be what it stands for."""
    speech = material.speech.read(plan.speech.clip, plan.speech.start, plan.speech.frames)
    whole_level_db = material.speech.table["active_level_db"][plan.speech.clip]
    rms_db, speech_db = levels.rms_and_active_level_db(speech, material.sample_rate)
    target = speech
    if plan.room is not None:
        speech, target = plan.room.heard_in(speech, material.sample_rate)
        rms_db, speech_db = levels.rms_and_active_level_db(speech, material.sample_rate)
    if rms_db < whole_level_db - QUIETEST_SPEECH_DB and not accept_quiet:
        return None
    noise = _read_noise(plan, material)
    noise_rms_db, noise_db = levels.rms_and_active_level_db(noise, material.sample_rate)
    recorded_db = material.noise.table["active_level_db"][plan.noise[0].clip]
    if speech_db == -np.inf or noise_db == -np.inf:
        return None
    if noise_db < recorded_db - QUIETEST_NOISE_DB and not accept_quiet:
        return None
    clean = _placed(speech, plan.speech_offset, plan.frames)
    speech_peak = math.inf if plan.room else float(material.speech.table["peak"][plan.speech.clip])
    joined = len(plan.noise) > 1
    noise_peak = math.inf if joined else float(material.noise.table["peak"][plan.noise[0].clip])
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
    recorded_db = material.noise.table["active_level_db"]
    parts: dict[Piece, NDArray[np.float32]] = {}
    for piece in plan.noise:
        if piece not in parts:
            gain = levels.db_to_gain(recorded_db[plan.noise[0].clip] - recorded_db[piece.clip])
            parts[piece] = material.noise.read(piece.clip, piece.start, piece.frames) * np.float32(gain)
    return join([parts[piece] for piece in plan.noise], plan.crossfade)[: plan.frames]


def _placed(samples: NDArray[np.float32], offset: int, frames: int) -> NDArray[np.float32]:
    if len(samples) == frames:
        return samples
    placed = np.zeros(frames, dtype=samples.dtype)
    placed[offset : offset + len(samples)] = samples
    return placed


def _pick(draw: float, steps: NDArray[np.float64]) -> int:
    return min(int(np.searchsorted(steps, draw, side="right")), len(steps) - 1)
