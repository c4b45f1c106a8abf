"""A fixed set made from a corpus: mixtures, or crops of ready pairs, written once."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from sedistill.audio import levels
from sedistill.common.argument_checks import check_whole
from sedistill.common.writing import refuse_existing, refuse_inside
from sedistill.data.corpus import Corpus
from sedistill.data.crops import Crop, Pairs, drawn_pair, make_crop
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings
from sedistill.data.pair_fit import TRUSTED
from sedistill.data.rendering import make_mixture
from sedistill.data.set_files import (
    FACTS,
    MOST_CLIPS,
    FixedSetSummary,
    Row,
    row_of_mixture,
    write_pair,
    write_set,
)


def mix(
    corpus_folder: Path | str,
    output: Path | str,
    split: str = "test",
    count: int = 300,
    seed: int = 0,
    mixing: MixingSettings | None = None,
    overwrite: bool = False,
    workers: int | None = None,
) -> FixedSetSummary:
    """Write `count` mixtures (or crops of ready pairs) of one split as 16-bit FLAC.

    Mixture i is mixture i of epoch 0 on the fly with the same seed, rounded to 16 bits. With
    `mixing.clip_seconds` None whole recordings are written; of ready pairs then `count` different ones drawn
    with `seed`, or all of them where there are no more, in the order of their names.

    Raises UserError when the split has nothing to mix, for an output that exists, and when the disk is full.
    """
    output, mixing = Path(output), mixing or MixingSettings()
    check_whole("count", count, 1, MOST_CLIPS)
    refuse_existing(output, overwrite, marker=FACTS)
    corpus = Corpus.load(corpus_folder)
    refuse_inside(output, [Path(corpus_folder)])
    part = corpus.split(split)
    chosen: Sequence[int] = range(count)
    if part.has_pairs and mixing.clip_seconds is None:
        chosen = _chosen_pairs(len(Pairs(part)), count, seed)
    elif not part.has_pairs:
        Material(part)  # refuses a split without speech or noise before anything is written
    facts = {
        "split": split,
        "seed": seed,
        "pairs": part.has_pairs,
        "mixing": mixing.model_dump(),
        "clip_seconds": mixing.clip_seconds,
    }
    if part.has_pairs and corpus.facts.get(TRUSTED):
        facts[TRUSTED] = True
    write_one = partial(_write_one, str(corpus_folder), split, seed, mixing)
    return write_set(output, overwrite, corpus, facts, write_one, chosen, workers)


def _write_one(
    corpus_folder: str, split: str, seed: int, mixing: MixingSettings, folder: Path, name: str, index: int
) -> Row:
    source = _source(corpus_folder, split)
    if isinstance(source, Pairs):
        crop = (
            source.whole(index)
            if mixing.clip_seconds is None
            else make_crop(seed, 0, index, source, drawn_pair(seed, 0, index, source), mixing.clip_seconds)
        )
        write_pair(folder, name, crop.noisy, crop.clean, source.sample_rate)
        return _row_of_crop(name, crop, source)
    mixture = make_mixture(seed, 0, index, source, mixing)
    write_pair(folder, name, mixture.noisy, mixture.clean, source.sample_rate)
    return row_of_mixture(name, mixture, source)


@cache
def _source(corpus_folder: str, split: str) -> Material | Pairs:
    part = Corpus.load(corpus_folder).split(split)
    return Pairs(part) if part.has_pairs else Material(part)


def _row_of_crop(name: str, crop: Crop, pairs: Pairs) -> Row:
    snr_db = levels.snr_db(crop.clean, crop.noisy - crop.clean, pairs.sample_rate)
    clip = pairs.clean[crop.pair]
    return Row(
        name=name,
        frames=len(crop.noisy),
        snr_db=round(snr_db, 4) if np.isfinite(snr_db) else float("nan"),
        clean=clip.path,
        clean_start=clip.start + crop.start,
        clean_offset=crop.offset,
        speaker=clip.group,
        clean_recording=clip.cut_from,
    )


def _chosen_pairs(available: int, count: int, seed: int) -> list[int]:
    if count >= available:
        return list(range(available))
    return sorted(np.random.Generator(np.random.Philox(seed)).permutation(available)[:count].tolist())
