"""From folders of audio to a checked corpus: every file is decoded, and what is unusable is named."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sedistill.audio.listing import Unread
from sedistill.audio.resampling import RESAMPLER
from sedistill.common.errors import UserError
from sedistill.common.parallel import parallel_map
from sedistill.common.provenance import Provenance
from sedistill.common.writing import atomic_folder, is_empty_folder, refuse_existing, refuse_inside
from sedistill.data.clip_table import Clip
from sedistill.data.copies import split_rank, without_copies
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
from sedistill.data.file_checks import MOST_CLIPPED_SHARE, SHORTEST_SECONDS, Finding, Job, check
from sedistill.data.joining import joined_with, refuse_unjoinable
from sedistill.data.layouts import Listing, Source, find_sources
from sedistill.data.pair_fit import TRUSTED
from sedistill.data.shards.sharding import move_to_shards, open_destination
from sedistill.data.splitting import assign_splits, find_leaks
from sedistill.data.summary import (
    AUDIO_ROOT,
    PrepareSummary,
    missing_splits,
    told_of_pairs,
    told_of_trusted,
)
from sedistill.data.unused import unused_files

LONGEST_NAME = 140
"""Bytes in the name of a converted file; longer ones are cut, and told apart by a hash."""


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
        jobs, sources = _jobs(listing, folder / AUDIO_ROOT, sample_rate, align, trust_pairs)
        findings = parallel_map(check, jobs, workers, "Checking", "files")
        summary = _summarize(
            output, listing, sources, findings, sample_rate, seed, unused, trust_pairs, earlier
        )
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


def _jobs(
    listing: Listing, converted: Path, sample_rate: int, align: bool, trust: bool
) -> tuple[list[Job], list[tuple[Source, ...]]]:
    """One job a file or pair, and the sources it stands for."""
    together: dict[tuple[str, str], list[Source]] = {}
    for source in listing.sources:
        key = ("pair", source.pair) if source.pair else (source.root, source.path)
        together.setdefault(key, []).append(source)
    sources = [tuple(both) for both in together.values()]
    jobs = [
        Job(
            paths=tuple(str(listing.place(source.root, source.path)) for source in both),
            kinds=tuple(source.kind for source in both),
            converted=tuple(str(converted / _converted_path(source)) for source in both),
            sample_rate=sample_rate,
            align=align,
            trust=trust,
        )
        for both in sources
    ]
    return jobs, sources


def _converted_path(source: Source) -> str:
    path = PurePosixPath(source.path)
    name = f"{path.name}.flac"
    if len(os.fsencode(name)) > LONGEST_NAME:  # file systems end at 255 bytes, some before
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()
        name = f"{os.fsdecode(os.fsencode(path.stem)[: LONGEST_NAME // 2])}-{digest[:16]}.flac"
    return PurePosixPath(source.root, path.with_name(name)).as_posix()


def _summarize(
    output: Path, listing: Listing, sources: Sequence[tuple[Source, ...]],
    findings: Sequence[tuple[Finding, ...]], sample_rate: int, seed: int, unused: Sequence[Unread],
    trust_pairs: bool, earlier: Corpus | None,
) -> PrepareSummary:  # fmt: skip
    clips, excluded, warnings = _usable(listing, sources, findings, sample_rate, seed)
    _refuse_useless(listing, clips, excluded, one_kind=earlier is not None)
    roots = dict(listing.roots)
    if any(clip.source for clip in clips):
        roots[AUDIO_ROOT] = Path(AUDIO_ROOT)
    if earlier is not None:
        joined = joined_with(earlier, clips, roots)
        clips, roots = joined.clips, joined.roots
        excluded += [
            Unread(listing.place(*clip.given), "exact copy", f"the same audio as one of {earlier.folder}")
            for clip in joined.copies
        ]
    clips.sort(key=lambda clip: (split_rank(clip.split), clip.kind, clip.root, clip.path, clip.start))
    converted = len({(clip.root, clip.path) for clip in clips if clip.source})
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
    warnings += [*misfits_told(excluded), *told_of_trusted(sources, findings)]
    notes = [*listing.notes, *told_of_pairs(findings)]
    clipped = sum(clip.clipped_share > MOST_CLIPPED_SHARE for clip in clips)
    return PrepareSummary(output, corpus, excluded, converted, clipped, warnings, published, notes)


def _usable(
    listing: Listing, sources: Sequence[tuple[Source, ...]], findings: Sequence[tuple[Finding, ...]],
    sample_rate: int, seed: int,
) -> tuple[list[Clip], list[Unread], list[str]]:  # fmt: skip
    """The clips with their splits, the files that are left out, and warnings about splits."""
    excluded = list(listing.left_out)
    clips: list[Clip] = []
    for both, found in zip(sources, findings, strict=True):
        for source, finding in zip(both, found, strict=True):
            if finding.reason:
                path = listing.place(source.root, source.path)
                excluded.append(Unread(path, finding.reason, finding.detail))
            else:
                clips.append(_clip(source, finding))
    clips, copies = without_copies(clips, listing)
    shortest = {kind: round(seconds * sample_rate) for kind, seconds in SHORTEST_SECONDS.items()}
    clips, cut, warnings = assign_splits(clips, listing.shares, seed, shortest, listing.in_time)
    too_short = [Unread(listing.place(*clip.given), TOO_SHORT_TO_SPLIT, why) for clip, why in cut]
    return clips, [*excluded, *copies, *too_short], warnings


def _remove_unused(converted: Path, corpus: Corpus) -> None:
    """Delete conversions of files that turned out to be copies, or were left out later, and empty folders."""
    used = {clip.path for clip in corpus if clip.source}
    for path in converted.rglob("*.flac"):
        if path.is_file() and path.relative_to(converted).as_posix() not in used:
            path.unlink()
    for folder in sorted([converted, *converted.rglob("*")], reverse=True):
        if is_empty_folder(folder):
            folder.rmdir()


def _clip(source: Source, finding: Finding) -> Clip:
    return Clip(
        root=AUDIO_ROOT if finding.was_converted else source.root,
        path=_converted_path(source) if finding.was_converted else source.path,
        kind=source.kind,
        split=source.split,
        group=source.group,
        start=finding.start,
        frames=finding.frames,
        active_level_db=finding.active_level_db,
        peak=finding.peak,
        clipped_share=finding.clipped_share,
        sample_rate=finding.sample_rate,
        channels=finding.channels,
        audio_sha256=finding.audio_sha256,
        pair=source.pair,
        source=f"{source.root}/{source.path}" if finding.was_converted else "",
        offset=finding.offset,
        recording=source.recording,
    )


def _refuse_useless(
    listing: Listing, clips: Iterable[Clip], excluded: Sequence[Unread], one_kind: bool
) -> None:
    usable = Counter("pair" if clip.pair else clip.kind for clip in clips)
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
    listing: Listing, clips: Sequence[Clip], excluded: Sequence[Unread], sample_rate: int, seed: int
) -> dict[str, Any]:
    return {
        "layout": listing.layout,
        "resampler": RESAMPLER,
        "seed": seed,
        "counts": _counts(clips, sample_rate),
        "files_with_offset": len({(clip.root, clip.path) for clip in clips if clip.offset}),
        "excluded": dict(Counter(one.reason for one in excluded).most_common()),
        **Provenance.now(("numpy", "soxr"), [seed]).facts(),
    }


def _counts(clips: Sequence[Clip], sample_rate: int) -> dict[str, dict[str, Any]]:
    """{"train clean": {"files": ..., "hours": ..., "groups": ...}, ...} in the order of the splits."""
    cells: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        cells.setdefault((clip.split, clip.kind), []).append(clip)
    return {
        f"{split} {kind}": {
            "files": len(cells[split, kind]),
            "hours": round(sum(clip.frames for clip in cells[split, kind]) / sample_rate / 3600, 5),
            "groups": len({clip.group for clip in cells[split, kind]}),
        }
        for split, kind in sorted(cells, key=lambda cell: (split_rank(cell[0]), cell[1]))
    }
