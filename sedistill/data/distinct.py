"""How many recordings, speakers and noises a set is made from: clips that share one are not independent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sedistill.common.wording import counted, listed

FEW, MANY_EACH = 10, 3
"""Fewer than FEW different ones that carry MANY_EACH clips each, or more, are worth a warning."""

NAMES = {
    "clean_recordings": ("clean recording",),
    "speakers": ("speaker",),
    "noise_recordings": ("noise recording",),
    "noise_classes": ("noise class", "noise classes"),
}


class Described(Protocol):
    """What is read of a row of mixtures.csv."""

    @property
    def speaker(self) -> str: ...
    @property
    def clean_recording(self) -> str: ...
    @property
    def noise_recording(self) -> str: ...
    @property
    def noise_class(self) -> str: ...


def count_distinct(rows: Sequence[Described]) -> dict[str, int]:
    """Counts by the keys of NAMES, without those that are known nowhere (the noise of ready pairs)."""
    counts = {
        "clean_recordings": _different(row.clean_recording for row in rows),
        "speakers": _different(row.speaker for row in rows),
        "noise_recordings": _different(name for row in rows for name in row.noise_recording.split(";")),
        "noise_classes": _different(row.noise_class for row in rows),
    }
    return {name: count for name, count in counts.items() if count}


def distinct_text(counts: Mapping[str, int]) -> str:
    """ "6 clean recordings of 2 speakers, 2 noise recordings of 1 noise class" ."""
    told = {name: counted(counts[name], *NAMES[name]) for name in NAMES if name in counts}
    speech = [told[name] for name in ("clean_recordings", "speakers") if name in told]
    noise = [told[name] for name in ("noise_recordings", "noise_classes") if name in told]
    return ", ".join(" of ".join(part) for part in (speech, noise) if part)


def few_warning(counts: Mapping[str, int], clips: int) -> str:
    """A sentence when few different recordings, speakers or noises carry many clips, else ""."""
    few = [
        counted(counts[name], *NAMES[name])
        for name in ("clean_recordings", "speakers", "noise_recordings")
        if name in counts and counts[name] < FEW and clips >= MANY_EACH * counts[name]
    ]
    if not few:
        return ""
    return (
        f"{clips} clips come from only {listed(few)}: clips that share one are not independent, so "
        "the set says less than their number promises"
    )


def _different(names: Iterable[str]) -> int:
    return len({name for name in names if name})
