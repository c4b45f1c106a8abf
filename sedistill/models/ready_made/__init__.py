"""The networks that come with the package, trained: a saved model each, by its name.

A name stands wherever the folder of a saved model may stand. A folder of that name wins, so that nothing
that is named changes its meaning when a version brings one more; `ready-made:NAME` is never a folder. In a
recipe `student: fastenhancer-t` is the preset, with fresh weights, and `student: ready-made:fastenhancer-t`
goes on from these.
"""

from pathlib import Path

from sedistill.common.errors import UserError, nearest

FOLDER = Path(__file__).parent
PREFIX = "ready-made:"
WEIGHTS, CARD = "model.safetensors", "card.yaml"
DEFAULT = "fastenhancer-b"
"""The one with the best scores (docs/ready-made.md)."""


def ready_made_names() -> list[str]:
    """The smallest first."""
    sizes = {place.parent.name: place.stat().st_size for place in FOLDER.glob(f"*/{WEIGHTS}")}
    return sorted(sizes, key=lambda name: sizes[name])


def is_ready_made(place: Path | str) -> bool:
    """Whether this names one of them and no folder."""
    text = str(place)
    if text.startswith(PREFIX):
        return True
    return text in ready_made_names() and not Path(text).exists()


def saved_folder(place: Path | str) -> Path:
    """The folder of a saved model: the one that is named, or that of a ready-made network.

    Raises UserError for `ready-made:` and a name that is not known. A folder is taken as named, there or not.
    """
    if not is_ready_made(place):
        return Path(place)
    name = str(place).removeprefix(PREFIX)
    if name not in ready_made_names():
        raise UserError(f"there is no ready-made network '{name}'{nearest(name, ready_made_names())}")
    return FOLDER / name


def default_model() -> str:
    """The ready-made network that cleans best. Raises UserError where this installation has none."""
    if DEFAULT not in ready_made_names():
        raise UserError("this installation has no ready-made network; name a saved model with --model.")
    return DEFAULT


def what_is_missing(place: Path | str) -> str:
    """Where there is no saved model: what may have been meant, as the rest of a sentence."""
    path, names = Path(place), ready_made_names()
    if (path / "student" / CARD).is_file():
        return f"is a run; its network is {path / 'student'}."
    seeds = sorted(path.glob("seed-*/student"))
    if seeds:
        return f"holds the runs of a recipe; a network of them is {seeds[0]}."
    known = f" Ready-made are {', '.join(names)}." if names else ""
    if path.exists():
        return f"is not a saved model: {CARD} is missing.{known}"
    return f"is not a saved model: nothing is there.{known}"
