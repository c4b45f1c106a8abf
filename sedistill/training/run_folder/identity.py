"""What a run was begun with: its data and the networks it names, by their hashes. It goes on with no others.

In the run's folder, identity.yaml holds one hash for each of them and identity.csv every file of the data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum, is_as_written, with_checksum
from sedistill.common.reading import is_taken, require_file, shown
from sedistill.common.writing import named_disk_errors, write_whole
from sedistill.common.yaml_files import read_yaml, yaml_text
from sedistill.data.content_table import Contents, contents_hash, read_contents, write_contents
from sedistill.data.contents import differences, look, remember, shortened
from sedistill.data.corpus import FACTS as CORPUS_FACTS
from sedistill.data.corpus import Corpus
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.noisy_recordings import Recordings
from sedistill.models.ready_made import PREFIX, is_ready_made, saved_folder
from sedistill.models.saving import CARD, model_hash, read_card, settings_hash
from sedistill.teachers.opening import open_foreign, settings_of
from sedistill.teachers.packaged import is_packaged, packaged_teacher
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.checkpoints import LAST

FACTS, FILES = "identity.yaml", "identity.csv"
FORMAT_VERSION = 1
_REMEDY = "put back what was there, or train under another name or --output"


@dataclass(frozen=True)
class Identity:
    """What a run works with, by the recipe's keys.

    Attributes:
        data: for `data.train`, `data.valid` and `data.noisy`: path, number of files, hash of the files and,
            for a corpus, of the rows of its manifest.
        models: for `teacher` or `teachers.NAME`, `student` where it is a saved model, and the teachers of
            bands: path, weights, settings, output_gain.
        contents: every file of the data.
    """

    data: dict[str, dict[str, Any]]
    models: dict[str, dict[str, Any]]
    contents: dict[str, Contents]

    @classmethod
    def of(
        cls, recipe: Recipe, known: Mapping[str, Contents] | None = None, base: Path = Path()
    ) -> "Identity":
        """Of what a recipe names, as it is now. Raises UserError for what is not as it was written.

        known: contents that are known already, so that their files need not be read.
        base: what the recipe's paths are relative to.
        """
        data, contents = {}, {}
        for key, path in _data_places(recipe).items():
            facts, contents[key] = _of_data(key, base / path, (known or {}).get(key))
            data[key] = {"path": str(path), **facts}
        models = {
            key: {"path": path, **_of_model(base, path)}
            for key, path in _models(recipe, base)
            if key not in recipe.own_teachers
            or is_packaged(path)
            or is_taken(_model_place(base, path) / CARD)  # terms may all look at the clean speech
        }
        for key, spec in recipe.own_teachers.items():
            if _may_look_at_teacher(recipe) and (elsewhere := settings_of(spec)):
                models[key] = _of_teacher(elsewhere)
        return cls(data, models, contents)

    @property
    def hashes(self) -> dict[str, str]:
        """By the recipe's keys: of all files of the data, and of the weights of models."""
        data = {key: facts["files_hash"] for key, facts in self.data.items()}
        return data | {key: facts["weights"] for key, facts in self.models.items()}

    @classmethod
    def read(cls, folder: Path) -> "Identity | None":
        """What a run's folder says; None for a run from before there was any. Raises UserError: damaged."""
        path = folder / FACTS
        if not is_taken(path):
            return None
        require_file(path, "put back what was there")
        try:
            facts = read_yaml(path)
            data, models = dict(facts["data"]), dict(facts["models"])
            found = read_contents(folder / FILES, facts["files_hash"])
            if found is None or not is_as_written(facts):
                raise ValueError
            contents = _by_key(found)
        except (UserError, OSError, KeyError, TypeError, ValueError):
            raise UserError(
                f"{shown(path)} or {FILES} is damaged, so that nobody can tell whether this run would go on "
                "with the data it began with; put a good copy in its place, or delete both to go on anyway."
            ) from None
        return cls(data, models, contents)

    def write(self, folder: Path) -> None:
        """Write identity.yaml and identity.csv."""
        facts = {
            "format_version": FORMAT_VERSION,
            "data": self.data,
            "models": self.models,
            "files_hash": contents_hash(_together(self.contents)),
        }
        with named_disk_errors(folder):
            write_contents(folder / FILES, _together(self.contents))
            write_whole(folder / FACTS, yaml_text(with_checksum(facts)))

    def told_differences(self, now: "Identity") -> list[str]:
        """A few words on everything that is not what it was. Another path to the same is no difference."""
        told = _differences(self.contents, now.contents)
        for key, before in self.data.items():
            rows = before.get("rows_hash"), now.data[key].get("rows_hash")
            if rows[0] != rows[1] and not told:
                told.append(f"{key} (the clips in its corpus.csv are others or otherwise measured)")
        for key in self.models.keys() | now.models.keys():
            told += _told_of_model(key, self.models.get(key, {}), now.models.get(key, {}))
        return told


def hold_to_identity(recipe: Recipe, folder: Path) -> Identity:
    """What the run in `folder` works with now; written down where it is not yet. Nobody else may work there.

    Raises UserError naming what is not what the run began with.
    """
    known = Identity.read(folder)
    now = Identity.of(recipe, known.contents if known else None)
    if known is None:
        if is_taken(folder / LAST):
            print(f"note: {folder} is from before runs kept hashes of their data; it does from now on.")
        now.write(folder)
    else:
        _refuse_differing(known, now, folder)
    return now


def refuse_another_identity(recipe: Recipe, folder: Path, base: Path = Path()) -> None:
    """Raise UserError where a run began with others. Of a finished one data or teacher may be gone by now."""
    known = Identity.read(folder)
    if known is None:
        return
    places = [base / path for path in _data_places(recipe).values()]
    places += [_model_place(base, path) for _, path in _models(recipe, base) if not is_packaged(path)]
    if missing := [str(path) for path in places if not path.exists()]:
        print(
            f"note: {', '.join(missing)} is no longer there, so it was not compared with what {folder} had."
        )
        return
    _refuse_differing(known, Identity.of(recipe, known.contents, base), folder)


def unchanged_since(identity: Identity, recipe: Recipe) -> Callable[[], None]:
    """A look at the files of the data by size and time, and into those where they differ.

    Calling it raises UserError when a file is not what it was when the run was started.
    """
    opened = {key: _open(key, place) for key, place in _data_places(recipe).items()}
    files = {key: one.files() for key, one in opened.items() if not _in_shards(one)}
    known = dict(identity.contents)

    def refuse_changed() -> None:
        now = {key: look(files[key], known[key]) for key in files}
        if told := _differences(known, now):
            raise UserError(
                f"the data changed while the training was running: {shortened(told)}; nothing learnt from it "
                "was saved: put back what was there and give the same command again."
            )
        known.update(now)  # shards are held against their hashes whenever they are read

    return refuse_changed


def _refuse_differing(known: Identity, now: Identity, folder: Path) -> None:
    if told := known.told_differences(now):
        raise UserError(
            f"{shown(folder)} was begun with other data or teachers: {shortened(told)}; {_REMEDY}."
        )
    if now.contents != known.contents:  # a copy, say: the same with other times
        remember(folder / FILES, _together(now.contents))


def _data_places(recipe: Recipe) -> dict[str, Path]:
    """The folders of sound that a recipe names, by its keys."""
    places = {"data.train": recipe.data.train, "data.valid": recipe.data.valid}
    noisy = recipe.data.noisy
    return places | ({"data.noisy": noisy} if noisy is not None and recipe.recordings_a_batch else {})


def _open(key: str, path: Path) -> Corpus | FixedSet | Recordings:
    if key == "data.noisy":
        return Recordings(path)
    if key == "data.train" and is_taken(path / CORPUS_FACTS):
        return Corpus.load(path).split("train")
    return FixedSet(path)


def _together(contents: Mapping[str, Contents]) -> Contents:
    """All as one, by KEY/NAME."""
    return Contents.of(
        (f"{key}/{name}", one) for key, found in contents.items() for name, one in found.items()
    )


def _by_key(contents: Contents) -> dict[str, Contents]:
    """The reverse of `_together`, in which what is of one key stands together."""
    of_key = groupby(contents.rows(), key=lambda row: row[0].split("/", 1)[0])
    return {key: Contents.of_rows((row[0][len(key) + 1 :], *row[1:]) for row in rows) for key, rows in of_key}


def _differences(before: Mapping[str, Contents], now: Mapping[str, Contents]) -> list[str]:
    """As of one."""
    if all(key in before and not differences(before[key], found) for key, found in now.items()):
        return []
    return differences(_together(before), _together(now))


def _in_shards(opened: Corpus | FixedSet | Recordings) -> bool:
    return isinstance(opened, Corpus) and opened.shards is not None


def _of_data(key: str, path: Path, known: Contents | None) -> tuple[dict[str, Any], Contents]:
    opened = _open(key, path)
    if isinstance(opened, Corpus):
        contents, rows = opened.contents(), {"rows_hash": opened.rows_hash}
    else:
        contents, rows = opened.contents(known), {}
    return {"files": len(contents), "files_hash": contents_hash(contents), **rows}, contents


def _models(recipe: Recipe, base: Path) -> list[tuple[str, str]]:
    """The saved models that a recipe names and may look at, by its keys."""
    named: list[tuple[str, Any]] = []
    if _may_look_at_teacher(recipe):
        named += [(key, spec) for key, spec in recipe.own_teachers.items() if not settings_of(spec)]
    for number, objective in enumerate(recipe.objectives):
        if recipe.distils and objective.weight > 0:
            teachers = getattr(objective, "teachers", None) or ()
            named += [(f"objectives.{number}.teachers.{i}", path) for i, path in enumerate(teachers)]
    student = recipe.student
    if isinstance(student, str) and is_taken(_model_place(base, student, PREFIX) / CARD):
        named.append(("student", student))
    return [(key, str(path)) for key, path in named if path is not None]


def _may_look_at_teacher(recipe: Recipe) -> bool:
    return recipe.distils or (recipe.kdrl is not None and recipe.kdrl.fixed_ratio != 0)


def _of_teacher(settings: TeacherFrom) -> dict[str, Any]:
    """The facts of a teacher from elsewhere under the names of those of a saved model."""
    return {
        "path": settings.name,
        "weights": open_foreign(settings).hash,
        "network": facts_checksum(settings.model_dump(mode="json")),
        "output_gain": 1.0,
    }


def _model_place(base: Path, named: str, prefix: str = "") -> Path:
    """The folder of a saved model; with a prefix, of ready-made ones only those that are named with it."""
    ready = is_ready_made(named) and named.startswith(prefix) and not (base / named).exists()
    return saved_folder(named) if ready else base / named


def _of_model(base: Path, named: str) -> dict[str, Any]:
    if is_packaged(named):
        teacher = packaged_teacher(named)
        return {"weights": teacher.hash, "network": teacher.name, "output_gain": 1.0}
    folder = _model_place(base, named)
    card = read_card(folder)
    return {
        "weights": model_hash(folder),
        "network": settings_hash(card),
        "output_gain": float(card["output_gain"]),
    }


def _told_of_model(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    if not before or not now:
        return [f"{key} ({'named only now' if now else 'no longer named'})"]
    words = {"weights": "its weights were {}, are {}: trained again?", "network": "another network",
             "output_gain": "its output_gain was {}, is {}"}  # fmt: skip
    for name, text in words.items():
        if before[name] != now[name]:
            values = (str(one[name])[:12] for one in (before, now))
            return [f"{key} {now['path']} ({text.format(*values)})"]
    return []
