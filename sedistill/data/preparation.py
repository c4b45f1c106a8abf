"""From folders of audio to a checked corpus: every file is decoded, and what is unusable is named."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedistill.audio.listing import Unread
from sedistill.audio.resampling import RESAMPLER
from sedistill.common.argument_checks import check_list
from sedistill.common.errors import UserError
from sedistill.common.provenance import Provenance
from sedistill.common.writing import atomic_folder, is_empty_folder, refuse_existing, refuse_inside
from sedistill.data.checking import Checked, check_all
from sedistill.data.clip_table import ClipTable
from sedistill.data.copies import without_copies
from sedistill.data.corpus import FACTS, Corpus
from sedistill.data.excluded import (
    EXCLUDED,
    TOO_SHORT_TO_SPLIT,
    by_root,
    counted_reasons,
    misfits_told,
    write_excluded,
)
from sedistill.data.expected_counts import compare
from sedistill.data.file_checks import MOST_CLIPPED_SHARE, SHORTEST_SECONDS
from sedistill.data.joining import joined_with, refuse_unjoinable
from sedistill.data.layouts import Listing, find_sources
from sedistill.data.pair_fit import TRUSTED
from sedistill.data.shards.sharding import move_to_shards, open_destination
from sedistill.data.split_order import counts, in_order
from sedistill.data.splitting import assign_splits, find_leaks
from sedistill.data.summary import AUDIO_ROOT, PrepareSummary, missing_splits
from sedistill.data.unused import unused_files


def prepare(
    output: Path | str,
    root: Path | str | None = None,
    clean: Path | str | None = None,
    noise: Path | str | None = None,
    noisy: Path | str | None = None,
    layout: str = "auto",
    sample_rate: int = 16_000,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
    valid_speakers: Sequence[str] | None = None,
    speaker_from: str | None = None,
    noise_from: str | None = None,
    align: bool = False,
    trust_pairs: bool = False,
    join: Path | str | None = None,
    shards: str | None = None,
) -> PrepareSummary:
    """Check every file of a corpus and write corpus.csv, excluded.csv and corpus.yaml into `output`.

    Give `root` (a corpus in a known layout), or `clean` with `noise`, or `clean` with `noisy`. Good files at
    `sample_rate` and in mono are referred to where they are; others are converted once into `output`.
    Folders named as splits (train-clean-100, dev, test, cv, ...) are these; without them, groups (speakers by
    the names of known corpora, by folder or by the beginnings of names; classes of noise; cuts of one
    recording) are split 80/10/10 by a hash seeded with `seed`.

    Noisy and clean of a ready pair are held against each other by correlation: a pair whose noisy file is
    late or early is left out, or with `align` shifted and cut to what both share; pairs that drift,
    or are of two recordings, are left out. With `trust_pairs` what does not fit is kept as it is and told:
    very noisy or reverberant pairs may be taken for misfits.

    Left out, with the reason: what is not audio, damaged, of zero length, too short (clean 0.5 s, noise
    0.1 s), silent, NaN, an exact copy of another file, and clean speech with more than 0.1 % of its samples
    flat at the peak. Clipped noise and clipped ready pairs are kept and marked: noise is clipped in life, and
    a published test set stays whole.

    A corpus in a known layout is held against its published counts, hours and rates: what is missing, extra,
    doubled or at another rate is told in the summary and stops nothing. `valid_speakers` names those of
    VoiceBank+DEMAND to validate with; None takes the customary ones. `speaker_from` and `noise_from` are
    regular expressions with a group that tells the speaker, or the recording of a noise, in a path below its
    folder.

    `join` names an earlier corpus, whose clips are put to the new ones with the splits they have; new copies
    of them are left out. Then `clean` or `noise` may be given alone.

    `shards` names a folder or URL that the audio is written to, in tar files; `output` then holds the tables.

    Raises UserError for missing or empty folders, test speakers in a training folder, when a needed kind has
    no usable file, and for an output that exists.
    """
    output = Path(output)
    refuse_existing(output, overwrite, marker=FACTS)
    _check_numbers(sample_rate, workers)
    check_list("valid_speakers", valid_speakers)
    root, clean, noise, noisy = (
        None if folder is None else Path(folder) for folder in (root, clean, noise, noisy)
    )
    earlier = None if join is None else Corpus.load(join)
    if earlier is not None:
        refuse_unjoinable(earlier, sample_rate, pairs=noisy is not None)
    destination = None if shards is None else open_destination(shards, overwrite)
    listing = find_sources(
        layout, root, clean, noise, noisy, valid_speakers, speaker_from, noise_from,
        may_lack_one=earlier is not None,
    )  # fmt: skip
    unused = list(unused_files(filter(None, (root, clean, noise, noisy)), listing))
    refuse_inside(output, [*listing.roots.values(), *([] if earlier is None else [earlier.folder])])
    with atomic_folder(output, overwrite, marker=FACTS) as folder:
        checked = check_all(listing, folder / AUDIO_ROOT, sample_rate, align, trust_pairs, workers)
        listing.sources = []
        summary = _summarize(output, listing, checked, sample_rate, seed, unused, trust_pairs, earlier)
        _remove_unused(folder / AUDIO_ROOT, summary.corpus)
        summary.corpus.save(folder)
        write_excluded(folder / EXCLUDED, summary.excluded)
        if destination is not None:
            move_to_shards(folder, destination, AUDIO_ROOT)
    return summary


def _check_numbers(sample_rate: int, workers: int | None) -> None:
    if not 4_000 <= sample_rate <= 192_000:
        raise UserError(f"sample_rate is {sample_rate} Hz; give 4000 to 192000 Hz, usually 16000.")
    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; give 1 or more.")


def _summarize(
    output: Path, listing: Listing, checked: Checked, sample_rate: int, seed: int,
    unused: Sequence[Unread], trust_pairs: bool, earlier: Corpus | None,
) -> PrepareSummary:  # fmt: skip
    clips, excluded, warnings = _usable(listing, checked, sample_rate, seed)
    _refuse_useless(listing, clips, excluded, one_kind=earlier is not None)
    roots = dict(listing.roots)
    if clips.texts["source"].are_there.any():
        roots[AUDIO_ROOT] = Path(AUDIO_ROOT)
    if earlier is not None:
        joined = joined_with(earlier, clips, roots)
        clips, roots = joined.clips, joined.roots
        excluded += [
            Unread(listing.place(*clip.given), "exact copy", f"the same audio as one of {earlier.folder}")
            for clip in joined.copies
        ]
    clips = in_order(clips)
    converted = len(np.unique(clips.file[clips.texts["source"].are_there]))
    published, rates = compare(listing.parts, clips, by_root(excluded, listing.roots), sample_rate)
    excluded += unused
    facts = _facts(listing, clips, excluded, sample_rate, seed) | (
        {"published": published} if published else {}
    )
    if trust_pairs:
        facts[TRUSTED] = True
    corpus = Corpus.from_clips(output, clips, sample_rate, roots, facts)
    warnings = [*listing.warnings, *rates, *warnings, *find_leaks(clips, listing.unknown)]
    warnings += missing_splits(clips, listing.noise_only)
    warnings += [*misfits_told(excluded), *checked.warnings()]
    notes = [*listing.notes, *checked.notes()]
    clipped = int((clips.numbers["clipped_share"] > MOST_CLIPPED_SHARE).sum())
    return PrepareSummary(output, corpus, excluded, converted, clipped, warnings, published, notes)


def _usable(
    listing: Listing, checked: Checked, sample_rate: int, seed: int
) -> tuple[ClipTable, list[Unread], list[str]]:
    """The clips with their splits, the files that are left out, and warnings about splits."""
    clips, copies = without_copies(checked.clips, listing)
    del checked.clips  # or two tables would be held to the end
    shortest = {kind: round(seconds * sample_rate) for kind, seconds in SHORTEST_SECONDS.items()}
    clips, cut, warnings = assign_splits(clips, listing.shares, seed, shortest, listing.in_time)
    too_short = [Unread(listing.place(*clip.given), TOO_SHORT_TO_SPLIT, why) for clip, why in cut]
    return clips, [*listing.left_out, *checked.excluded, *copies, *too_short], warnings


def _remove_unused(converted: Path, corpus: Corpus) -> None:
    """Delete conversions of files that turned out to be copies, or were left out later, and empty folders."""
    if not converted.is_dir():
        return
    clips = corpus.clips
    used = set(clips.texts["path"].among(np.flatnonzero(clips.texts["source"].are_there)))
    for path in converted.rglob("*.flac"):
        if path.is_file() and path.relative_to(converted).as_posix() not in used:
            path.unlink()
    for folder in sorted([converted, *converted.rglob("*")], reverse=True):
        if is_empty_folder(folder):
            folder.rmdir()


def _refuse_useless(listing: Listing, clips: ClipTable, excluded: Sequence[Unread], one_kind: bool) -> None:
    paired = clips.texts["pair"].are_there
    usable = {kind: (clips.is_in("kind", kind) & ~paired).any() for kind in ("clean", "noise")}
    usable["pair"] = paired.any()
    mixes = "noise" in listing.roots or one_kind
    kinds = [kind for kind in ("clean", "noise") if kind in listing.roots]
    for kind in kinds if mixes else ("pair",):
        if usable[kind]:
            continue
        place = " and ".join(str(p) for n, p in listing.roots.items() if not mixes or n == kind)
        inside = [one for one in excluded if not mixes or one.path.is_relative_to(listing.roots[kind])]
        reasons = ", ".join(f"{count} {reason}" for reason, count in counted_reasons(inside, not mixes)[:3])
        example = f"; for example {inside[0].path}: {inside[0].detail or inside[0].reason}" if inside else ""
        what = {"clean": "clean file", "noise": "noise file", "pair": "noisy/clean pair"}[kind]
        raise UserError(f"no usable {what} in {place} ({reasons}){example}.")


def _facts(
    listing: Listing, clips: ClipTable, excluded: Sequence[Unread], sample_rate: int, seed: int
) -> dict[str, Any]:
    return {
        "layout": listing.layout,
        "resampler": RESAMPLER,
        "seed": seed,
        "counts": counts(clips, sample_rate),
        "files_with_offset": len(np.unique(clips.file[clips.numbers["offset"] != 0])),
        "excluded": dict(Counter(one.reason for one in excluded).most_common()),
        **Provenance.now(("numpy", "soxr"), [seed]).facts(),
    }
