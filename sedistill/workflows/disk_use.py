"""How much of the disk sets and a teacher's kept outputs will take, and how much is free."""

import shutil
from pathlib import Path

from sedistill.teachers.cached import BYTES_KEPT

SAMPLE_BYTES, FLAC_SHARE = 2, 0.6
"""A sample of a recording, and what FLAC makes of it."""


def pair_bytes(sample_rate: int) -> float:
    """A second of a noisy and clean pair."""
    return 2 * sample_rate * SAMPLE_BYTES * FLAC_SHARE


def outputs_bytes(sample_rate: int) -> int:
    """A second of a teacher's kept output."""
    return sample_rate * BYTES_KEPT


def free_bytes(place: Path) -> int:
    """Of the disk on which a folder lies, or will."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
