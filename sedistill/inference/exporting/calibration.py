"""Sound of the user's own on which a network is made coarser, and judged: what it will hear later on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedistill.audio.files import read_mono
from sedistill.audio.listing import audio_below, none_found
from sedistill.audio.resampling import resample
from sedistill.common.reading import require_file
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.set_files import SIDES

Wave = NDArray[np.float32]
MOST_CLIPS = 25
MOST_SECONDS = 10.0


@dataclass(frozen=True)
class Clip:
    """Noisy (T,), and clean (T,) where it is known."""

    noisy: Wave
    clean: Wave | None = None


def calibration_clips(place: Path | str, sample_rate: int) -> list[Clip]:
    """At most 25 clips of 10 s, taken evenly, at `sample_rate` whatever their own.

    place: an audio file, a folder of them, or a set of pairs, noisy/ and clean/.
    Raises UserError for a place without audio, and for files that cannot be read.
    """
    place, most = Path(place), round(MOST_SECONDS * sample_rate)
    if all((place / side).is_dir() for side in SIDES):
        pairs = FixedSet(place).evenly(MOST_CLIPS)
        rate = pairs.sample_rate
        both = ((resample(side, rate, sample_rate)[:most] for side in pairs[i]) for i in range(len(pairs)))
        return [Clip(noisy, clean) for noisy, clean in both]
    if place.is_dir():
        found = audio_below(place)
        if not found.files:
            raise none_found(found)
        files = [place / file for file in found.files]
    else:
        require_file(place, "name audio files, or a folder of them")
        files = [place]
    chosen = [
        files[i * len(files) // min(len(files), MOST_CLIPS)] for i in range(min(len(files), MOST_CLIPS))
    ]
    return [Clip(read_mono(file, sample_rate)[:most]) for file in chosen]
