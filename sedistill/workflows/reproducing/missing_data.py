"""What a table needs and `--data` does not have, all of it, before anything is prepared."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.data.corpus import FACTS as CORPUS_FACTS
from sedistill.data.layouts import Listing, find_sources
from sedistill.workflows.reproducing.sources import Sources
from sedistill.workflows.reproducing.table import CorpusSettings


def missing(sources: Sources, corpora: Iterable[str], sets: Iterable[str]) -> list[str]:
    """A phrase for each corpus and folder of pairs that is not there, or in which a part is missing.

    `corpora` need training data, others the parts that `sets` are mixed from.
    Corpora that are prepared are taken as they are, of others every file is listed and none is opened.
    """
    splits: dict[str, set[str]] = {name: {"train"} for name in corpora}
    phrases = []
    for name in sets:
        settings = sources.scale.sets[name]
        if settings.corpus is not None:
            splits.setdefault(settings.corpus, set()).add(settings.split)
        elif not (settings.optional or sources.set(name).is_dir() or sources.has_pairs(name)):
            phrases.append(f"{settings.pairs} (a folder of pairs) is not there")
    for name, needed in sorted(splits.items()):
        phrase = _lack(sources, name, needed)
        if phrase:
            phrases.append(phrase)
    return phrases


def _lack(sources: Sources, name: str, needed: set[str]) -> str:
    """What is missing of a corpus; empty where nothing is."""
    settings = sources.scale.corpora[name]
    if (sources.corpus(name) / CORPUS_FACTS).exists():
        return ""
    asked = f"{name} (layout {settings.layout}, {settings.hours:g} h)"
    try:
        place = sources.origin(name)
    except UserError:
        return f"{asked} is not there"
    if (place / CORPUS_FACTS).exists():
        return ""
    try:
        splits = _splits_of(_listed(place, settings))
    except UserError as error:
        return f"{asked}: {str(error).rstrip('.')}"
    absent = sorted(needed - splits)
    return f"{asked} has no part for {' and '.join(absent)}" if absent else ""


def _listed(place: Path, settings: CorpusSettings) -> Listing:
    if settings.layout == "folders":
        return find_sources("folders", None, place / "clean", place / "noise", None)
    return find_sources(settings.layout, place, None, None, None, settings.valid_speakers)


def _splits_of(listing: Listing) -> set[str]:
    """The splits that there are, or that are cut from what has none."""
    found = {source.split for source in listing.sources}
    open_shares: Iterable[Mapping[str, float]] = listing.shares.values() if "" in found else ()
    cut = {"train"} if "" in found else set()
    return (found - {""}) | cut | {split for share in open_shares for split in share}
