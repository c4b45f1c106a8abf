"""Mixtures of clean speech and noise: how they may be, and what is drawn for each.

Everything about mixture `index` of epoch `epoch` of a split is a function of (seed, split, epoch, index),
whatever process makes it and in whatever order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sedistill.common.settings import Settings, settings_of_texts
from sedistill.data.degradations import Codec, Room
from sedistill.data.file_checks import SHORTEST_SECONDS
from sedistill.data.mix_sources import Material, Piece
from sedistill.data.randomness import DEGRADED, HEARD, philox, stream_of


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


def _pick(draw: float, steps: NDArray[np.float64]) -> int:
    return min(int(np.searchsorted(steps, draw, side="right")), len(steps) - 1)
