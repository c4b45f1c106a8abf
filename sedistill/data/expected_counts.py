"""What is published about corpora: counts, hours, speakers, rates. A copy on a disk is held against it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sedistill.common.wording import first_few
from sedistill.data.clip_table import Clip

NAMED = 3  # files named one by one in the summary; the rest is in excluded.csv
_HOURS_TOLERANCE = 0.02  # hours are published with two digits


@dataclass(frozen=True)
class Published:
    """The published figures of one part of a corpus; None where none was found.

    Attributes:
        title: as the summary names it.
        unit: what is counted: pairs, files, sentences, noises.
        sample_rate: Hz, as shipped.
        tolerance: by how much of itself a count or the hours may differ unmentioned; 0 for exact figures.
        source: where the figures are from.
    """

    title: str
    unit: str
    sample_rate: int
    source: str
    files: int | None = None
    hours: float | None = None
    speakers: int | None = None
    tolerance: float = 0.0


_VALENTINI = "Valentini-Botinhao et al. 2016, DataShare 10283/2791; MV-AT (2022), section 3.2"
_DNS = "Reddy et al. 2020 (Interspeech 2020 DNS challenge) and the challenge's own datasets/Readme.md"
_TIMIT = "Garofolo et al. 1993, readme of the disc CD1-1.1"
_KDRL = "KDRL (2023), section IV-A; the sentences to validate are this project's choice"

PUBLISHED = {
    "voicebank-train-28": Published(
        "VoiceBank+DEMAND training set, 28 speakers", "pairs", 48_000, _VALENTINI, 11_572, 9.4, 28
    ),
    # The count is the one usually reported; the archive's own page gives none.
    "voicebank-train-56": Published(
        "VoiceBank+DEMAND training set, 56 speakers", "pairs", 48_000, _VALENTINI, 23_075, None, 56, 0.01
    ),
    "voicebank-test": Published(
        "VoiceBank+DEMAND test set", "pairs", 48_000, _VALENTINI, 824, 0.58, 2, tolerance=0.0
    ),
    "dns2020-clean": Published(
        "DNS2020 clean speech", "files", 16_000, _DNS, None, 500.0, 2150, tolerance=0.15
    ),
    "dns2020-noise": Published("DNS2020 noise", "files", 16_000, _DNS, 65_000, tolerance=0.1),
    "dns2020-no-reverb": Published(
        "DNS2020 synthetic test set, no reverb", "pairs", 16_000, _DNS, 150, 0.417
    ),
    "dns2020-reverb": Published("DNS2020 synthetic test set, with reverb", "pairs", 16_000, _DNS, 150, 0.417),
    "timit-train": Published("TIMIT training subset", "sentences", 16_000, _TIMIT, 4620, None, 462),
    "timit-test": Published("TIMIT test subset", "sentences", 16_000, _TIMIT, 1680, None, 168),
    "kdrl-train": Published("KDRL's training sentences and 25 to validate", "sentences", 16_000, _KDRL, 275),
    "kdrl-test": Published("KDRL's test sentences", "sentences", 16_000, _KDRL, 25),
    "noisex92": Published(
        "NOISEX-92", "noises", 19_980, "Varga and Steeneken 1993; signals of the SPIB collection", 15
    ),
}


@dataclass(frozen=True)
class Part:
    """A part of a corpus as a layout found it.

    Attributes:
        key: in PUBLISHED.
        roots: names of the roots its files lie in.
        kind: clips of this kind are counted; a pair counts once, as its noisy clip.
        below: only files in this folder of their root count.
        listed, speakers: counted by the layout where only some of the files are used; None counts clips.
        missing: names that the layout knows to be missing.
    """

    key: str
    roots: frozenset[str]
    kind: str
    below: str = ""
    listed: int | None = None
    speakers: int | None = None
    missing: Sequence[str] = ()

    def holds(self, place: tuple[str, str]) -> bool:
        """Whether the file at (root, path) is of this part."""
        root, path = place
        return root in self.roots and (not self.below or path.startswith(f"{self.below}/"))


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used: the root it lies in, its place below that, a short reason, a full one."""

    root: str
    path: str
    reason: str
    detail: str


def compare(
    parts: Sequence[Part], clips: Iterable[Clip], left_out: Sequence[LeftOut], sample_rate: int
) -> tuple[list[str], list[str]]:
    """(a line for each part, warnings about rates). `clips` are those in use, at `sample_rate`."""
    lines: list[str] = []
    warnings: list[str] = []
    for part in parts:
        published = PUBLISHED[part.key]
        held = [clip for clip in clips if part.holds(clip.given)]
        causes = [one for one in left_out if part.holds((one.root, one.path))]
        lines.append(_line(published, part, held, causes, sample_rate))
        warnings += _other_rates(published, held)
    return lines, warnings


def _line(
    published: Published, part: Part, clips: Sequence[Clip], causes: Sequence[LeftOut], sample_rate: int
) -> str:
    """One sentence: so many of so many; what is missing, extra or doubled."""
    clips = [clip for clip in clips if clip.kind == part.kind]
    files = len({clip.given for clip in clips}) if part.listed is None else part.listed
    speakers = len({clip.group for clip in clips}) if part.speakers is None else part.speakers
    counts = [_of(files, published.files, published.tolerance, published.unit)]
    if part.listed is None:
        hours = sum(clip.frames for clip in clips) / sample_rate / 3600
        counts.append(_of_hours(hours, published))
    if published.speakers is not None:
        counts.append(_of(speakers, published.speakers, published.tolerance, "speakers"))
    troubles = [f"{name} is missing" for name in part.missing[:NAMED]]
    troubles += _named(causes)
    unexplained = _unexplained(files, published, part, causes)
    if unexplained > 0:
        troubles.append(f"{unexplained:,} {'is' if unexplained == 1 else 'are'} not there at all")
    elif published.files is not None and not published.tolerance and files > published.files:
        troubles.append(f"{files - published.files:,} more than published")
    return f"{published.title}: {', '.join(filter(None, counts))}" + (
        f": {'; '.join(troubles)}" if troubles else ""
    )


def _of(count: int, published: int | None, tolerance: float, unit: str) -> str:
    if published is None:
        return f"{count:,} {unit}"
    if tolerance and abs(count - published) <= tolerance * published:
        return f"{count:,} {unit} (published: about {published:,})"
    return f"{count:,} of {'about ' if tolerance else ''}{published:,} {unit}"


def _of_hours(hours: float, published: Published) -> str:
    if published.hours is None:
        return f"{hours:.2f} h"
    tolerance = max(published.tolerance, _HOURS_TOLERANCE)
    near = abs(hours - published.hours) <= tolerance * published.hours
    return f"{hours:.2f} h" if near else f"{hours:.2f} of {published.hours:g} h"


def _unexplained(files: int, published: Published, part: Part, causes: Sequence[LeftOut]) -> int:
    """How many of the published files neither are in use nor were left out by name."""
    if published.files is None or published.tolerance:
        return 0
    if part.listed is not None:
        return published.files - files - len(part.missing)
    lost = [one for one in causes if one.reason not in ("exact copy", "name twice")]
    if published.unit != "pairs":
        return published.files - files - len(lost)
    # A pair that is there but unusable is told of twice; of one without a partner there is one file.
    alone = sum(one.reason == "no partner" for one in lost)
    return published.files - files - alone - (len(lost) - alone) // 2


def _named(causes: Sequence[LeftOut]) -> list[str]:
    of_pairs = ("exact copy", "lengths differ")
    both = {one.root for one in causes if "noisy" in one.root}
    told = [
        one
        for one in causes
        if one.reason not in ("partner unusable", "not used")
        and not (both and one.reason in of_pairs and one.root not in both)  # told of by its noisy partner
    ]
    sentences = [_trouble(one) for one in told[:NAMED]]
    more = len(told) - len(sentences)
    return [*sentences, f"and {more:,} more left out, each with its reason"] if more > 0 else sentences


def _trouble(one: LeftOut) -> str:
    name = Path(one.path).name
    if one.reason == "no partner":
        noisy = "noisy" in one.root
        return f"{name} is missing a {'clean' if noisy else 'noisy'} partner"
    if one.reason == "exact copy":
        return f"{name} is doubled ({one.detail})"
    if one.reason == "lengths differ":
        return f"{name} and its partner differ in length"
    if one.reason == "name twice":
        return f"{name} is there twice up to its suffix"
    return f"{name}: {one.reason}"


def _other_rates(published: Published, clips: Sequence[Clip]) -> list[str]:
    """Sentences about files at another rate than the published one, the odd ones by name."""
    rates = Counter(clip.sample_rate for clip in clips)
    if not rates or set(rates) == {published.sample_rate}:
        return []
    usual = rates.most_common(1)[0][0]
    sentences = []
    if usual != published.sample_rate:
        sentences.append(
            f"{published.title} is at {usual:,} Hz, published at {published.sample_rate:,} Hz: what "
            "resampled it is not known here, and resamplers move PESQ"
        )
    odd = {Path(clip.given[1]).name: clip.sample_rate for clip in clips if clip.sample_rate != usual}
    if odd:
        shown = first_few([f"{name} ({rate:,} Hz)" for name, rate in odd.items()], NAMED)
        sentences.append(f"{published.title}: {shown} differ in rate from the others ({usual:,} Hz)")
    return sentences
