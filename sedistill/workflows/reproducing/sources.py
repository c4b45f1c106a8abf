"""The corpora and sets of a table, made once in the output folder and afterwards only checked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import model_validator

from sedistill.common.errors import UserError
from sedistill.common.setting_faults import value_text
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import write_whole
from sedistill.common.yaml_files import yaml_text
from sedistill.data.corpus import FACTS as CORPUS_FACTS
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.grid_sets import write_grid_set
from sedistill.data.mixed_sets import mix
from sedistill.data.pair_alignment import check_all
from sedistill.data.preparation import prepare
from sedistill.data.set_files import FACTS as SET_FACTS
from sedistill.workflows.reproducing.table import CorpusSettings, Scale, SetSettings

CORPORA, SETS, ORIGINS = "corpora", "sets", "reproduce.yaml"


class _Origins(Record):
    """What reproduce.yaml has to hold: of what each corpus and set was made."""

    @model_validator(mode="before")
    @classmethod
    def _are_groups(cls, given: Any) -> Any:
        for name, origin in given.items():
            if not name.startswith((f"{CORPORA}/", f"{SETS}/")) or not isinstance(origin, dict):
                raise ValueError(f"{value_text(name)} is no corpus or set with what it was made of")
        return given


@dataclass(frozen=True)
class Sources:
    """Where a table's sound comes from (`data`, the user's folder) and lies (`output`)."""

    data: Path
    output: Path
    scale: Scale

    def corpus(self, name: str) -> Path:
        return self.output / CORPORA / name

    def set(self, name: str) -> Path:
        return self.output / SETS / name

    def origin(self, name: str) -> Path:
        """Where the user has a corpus: below `data` under its name, or in `data` itself if it is the one.

        Raises UserError when it is not there.
        """
        place = self.data / name
        if place.is_dir():
            return place
        if len(self.scale.corpora) == 1:
            return self.data
        layout = self.scale.corpora[name].layout
        raise UserError(
            f"{place} does not exist; put (or link) the corpus there, as downloaded (layout {layout}) or as "
            "prepared by `sedistill prepare`."
        )

    def has(self, name: str) -> bool:
        """Whether a set can be had: only optional ones may be missing."""
        settings = self.scale.sets.get(name)
        if settings is None:
            return False
        return settings.pairs is None or not settings.optional or self.has_pairs(name)

    def has_pairs(self, name: str) -> bool:
        """Whether the folder of pairs that a set is, is there."""
        return (self.data / (self.scale.sets[name].pairs or "")).is_dir()

    def prepare(self, corpora: Iterable[str], sets: Iterable[str], trust_pairs: bool = False) -> None:
        """Make what is missing of these. Raises UserError: not to be had, or made by other settings.

        trust_pairs: keep ready pairs that do not seem to fit, and print how many.
        """
        corpora, sets = list(corpora), list(sets)
        self._claim(corpora, sets)
        for name in corpora:
            if not (self.corpus(name) / CORPUS_FACTS).exists():
                prepare_corpus(self.origin(name), self.corpus(name), self.scale.corpora[name], trust_pairs)
            refuse_other_speakers(self.corpus(name), self.scale.corpora[name].valid_speakers)
        for name in sets:
            if not (self.set(name) / SET_FACTS).exists() and not self.set(name).is_symlink():
                self._write_set(name, self.scale.sets[name], trust_pairs)

    def _write_set(self, name: str, settings: SetSettings, trust_pairs: bool) -> None:
        place = self.set(name)
        if settings.pairs is not None:
            folder = self.data / settings.pairs
            way_on = "--set data.trust_pairs=true"
            check_all(FixedSet(folder), align=False, workers=1, trust=trust_pairs, way_on=way_on)
            link(place, folder)
            return
        assert settings.corpus is not None
        corpus = self.corpus(settings.corpus)
        if settings.grid is not None:
            summary = write_grid_set(corpus, place, settings.grid, settings.split, settings.seed)
        else:
            summary = mix(corpus, place, settings.split, settings.count, settings.seed, settings.mixing)
        print(summary.text(), flush=True)

    def _claim(self, corpora: Iterable[str], sets: Iterable[str]) -> None:
        """Refuse an output folder that holds something else under these names; write down what it holds."""
        wanted = {f"{CORPORA}/{name}": self._corpus_origin(name) for name in corpora}
        wanted |= {f"{SETS}/{name}": _plain(self.scale.sets[name]) for name in sets}
        path = self.output / ORIGINS
        known = read_record(_Origins, path, "choose another place with --output") if path.exists() else {}
        for name, origin in wanted.items():
            if name in known and known[name] != origin:
                raise UserError(
                    f"{self.output / name} was made from other data or settings than are asked for now; "
                    "choose another place with --output."
                )
        if wanted.keys() - known.keys():
            write_whole(path, yaml_text({**known, **wanted}))

    def _corpus_origin(self, name: str) -> dict[str, Any]:
        settings = self.scale.corpora[name]
        speakers = {} if settings.valid_speakers is None else {"valid_speakers": settings.valid_speakers}
        return {"from": str(self.origin(name).resolve()), "layout": settings.layout, **speakers}


def prepare_corpus(origin: Path, output: Path, settings: CorpusSettings, trust_pairs: bool = False) -> None:
    """Prepare a corpus, or link one that is prepared already."""
    if (origin / CORPUS_FACTS).exists():
        link(output, origin)
    elif settings.layout == "folders":
        folders = origin / "clean", origin / "noise"
        missing = [str(folder) for folder in folders if not folder.is_dir()]
        if missing:
            raise UserError(
                f"{' and '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist; --data needs "
                "clean/ and noise/ with recordings, or a corpus prepared by `sedistill prepare`."
            )
        print(prepare(output, clean=folders[0], noise=folders[1]).text(), flush=True)
    else:
        speakers = settings.valid_speakers
        summary = prepare(
            output, root=origin, layout=settings.layout, valid_speakers=speakers, trust_pairs=trust_pairs
        )
        print(summary.text(), flush=True)


def refuse_other_speakers(corpus: Path, wanted: Sequence[str] | None) -> None:
    """Raises UserError where a corpus, perhaps prepared by hand, lets others validate than the table says."""
    if wanted is None:
        return
    found = sorted(Corpus.load(corpus).split("valid").groups())
    if found != sorted(wanted):
        raise UserError(
            f"{corpus} was prepared with {', '.join(found)} to validate, and this table has "
            f"{', '.join(wanted)}; prepare it again with --valid-speakers {','.join(wanted)}, or give the "
            "corpus as downloaded."
        )


def link(place: Path, target: Path) -> None:
    """A symbolic link at `place`, so that everything a run reads lies in one folder by name."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target.resolve(), target_is_directory=True)


def sources_of(recipes: Iterable[Mapping[str, Any]], scale: Scale) -> tuple[list[str], list[str]]:
    """(corpora, sets) that recipes train and validate on, by their names."""
    named = [recipe["data"][key] for recipe in recipes for key in ("train", "valid")]
    corpora = {name for name in scale.corpora if f"{CORPORA}/{name}" in named}
    sets = {name for name in scale.sets if f"{SETS}/{name}" in named}
    return sorted(corpora), sorted(sets)


def corpora_of(sets: Iterable[str], scale: Scale) -> set[str]:
    """The corpora that sets are mixed from."""
    return {corpus for name in sets if (corpus := scale.sets[name].corpus) is not None}


def _plain(settings: SetSettings) -> Any:
    """Settings as YAML holds them; labels do not touch what a set is."""
    return json.loads(settings.model_dump_json(exclude={"label", "optional"}))
