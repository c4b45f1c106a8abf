"""What the folders hold, as far as the headers of their files say."""

import math
from dataclasses import dataclass
from pathlib import Path

from sedistill.audio.files import AudioInfo, probe
from sedistill.audio.listing import audio_below, none_found
from sedistill.common.errors import UserError
from sedistill.common.progress import duration_text, track
from sedistill.common.reading import shown

SAMPLED = 3
"""Files of a folder that are checked to see how long checking takes."""
LISTENED_TO = 12
"""Files of a folder by which it is told whether they are speech."""


@dataclass(frozen=True)
class Recordings:
    """The audio files below a folder: how many, their seconds; some of middling length, some of all."""

    folder: Path
    files: int
    seconds: float
    typical: tuple[AudioInfo, ...] = ()
    sample: tuple[AudioInfo, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.files:,} files, {duration_text(self.seconds)}, in {shown(self.folder)}"


def look_through(folder: Path, what: str, fewest: int = 1) -> Recordings:
    """Read every header below a folder of `what` ("clean speech", "noise").

    Raises UserError for a folder that is missing or has fewer than `fewest` files with sound in them.
    """
    found = audio_below(folder)
    if not found.files:
        raise none_found(found)
    infos = []
    for file in track(found.files, description=f"Looking through {what}", unit="files"):
        try:
            infos.append(probe(folder / file))
        except UserError:
            continue  # preparing will name it, and why it cannot be used
    infos = [one for one in infos if one.frames]
    if len(infos) < fewest:
        count = "no file" if not infos else "one file only" if len(infos) == 1 else f"{len(infos)} files only"
        raise UserError(
            f"{shown(folder)} holds {count} of {what} that can be read; give {fewest} or more, so that there "
            "are some to learn from, some to validate with and some to test on."
        )
    sample = infos[:: math.ceil(len(infos) / LISTENED_TO)]
    infos.sort(key=lambda one: one.seconds)
    middle = max(0, len(infos) // 2 - SAMPLED // 2)
    total = sum(one.seconds for one in infos)
    return Recordings(folder, len(infos), total, tuple(infos[middle : middle + SAMPLED]), tuple(sample))
