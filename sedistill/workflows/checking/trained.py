"""The faults of runs, models, checkpoints, kept outputs and evaluations."""

from collections.abc import Callable
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.integrity import file_hash
from sedistill.common.reading import is_taken
from sedistill.common.settings import check_settings
from sedistill.common.yaml_files import read_yaml
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.scores import load_scores
from sedistill.evaluation.systems import is_of
from sedistill.models.saving import CARD, load_model
from sedistill.teachers.cached import FACTS
from sedistill.teachers.cached import NAME as OUTPUTS
from sedistill.training.patch_record.record import NAME as PATCHES
from sedistill.training.patch_record.record import read_patch_record
from sedistill.training.recipe.schema import Recipe
from sedistill.training.run_folder.checkpoints import load_checkpoint
from sedistill.training.run_folder.config import CONFIG
from sedistill.training.run_folder.identity import Identity
from sedistill.training.run_folder.logs import METRICS, read_metrics


def check_run(folder: Path) -> list[str]:
    """Its checkpoints, its student, its records, and whether data and teachers are those it began with."""
    faults = [fault for path in sorted(folder.glob("checkpoints/*.ckpt")) for fault in check_checkpoint(path)]
    if is_taken(folder / "student"):
        faults += _told(lambda: load_model(folder / "student"))
    if is_taken(folder / METRICS):
        faults += _told(lambda: read_metrics(folder))
    if is_taken(folder / PATCHES):
        faults += _told(lambda: read_patch_record(folder))
    try:
        return faults + _others(folder)
    except UserError as error:
        return [*faults, str(error)]


def check_model(folder: Path) -> list[str]:
    """Whether it loads: card and weights as written, and fitting each other."""
    return _told(lambda: load_model(folder))


def check_checkpoint(path: Path) -> list[str]:
    """Whether it is whole."""
    return _told(lambda: load_checkpoint(path))


def check_outputs(folder: Path) -> list[str]:
    """Whether the file is the one whose checksum the card has."""
    written, path = read_yaml(folder / FACTS).get("checksum"), folder / OUTPUTS
    if not is_taken(path):
        return [f"{path.name} is missing; the next training computes it again"]
    sound = file_hash(path) == written
    return [] if sound else [f"{path.name} was changed or damaged; the next training computes it again"]


def check_comparison(folder: Path) -> list[str]:
    """It is only read by people, and holds nothing to be held against."""
    return []


def check_evaluation(folder: Path) -> list[str]:
    """Its tables, and whether sets and models are those that were scored, where they are still there."""
    faults = []
    for name, scores in load_scores(folder).items():
        of_set = scores.facts.get("set", {})
        place, rate = Path(of_set.get("folder") or ""), of_set.get("sample_rate", 0)
        if of_set.get("folder") and place.is_dir() and FixedSet(place).hash != of_set.get("hash"):
            faults.append(f"{name}: {place} is not the set that was scored; evaluate again")
        for label, facts in scores.facts.get("models", {}).items():
            model = Path(facts.get("folder") or "")
            if facts.get("folder") and (model / CARD).exists() and not is_of(facts, model, rate):
                faults.append(f"{name}: {label} in {model} is not as it was scored; evaluate again")
    return faults


def _others(folder: Path) -> list[str]:
    """What is not what the run was begun with; nothing for a run from before it was written down."""
    config = folder / CONFIG
    recipe = check_settings(Recipe, read_yaml(config).get("recipe") or {}, str(config))
    known = Identity.read(folder)
    return [] if known is None else known.told_differences(Identity.of(recipe))


def _told(look: Callable[[], object]) -> list[str]:
    try:
        look()
    except UserError as error:
        return [str(error)]
    return []
