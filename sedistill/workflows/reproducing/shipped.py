"""The tables and recipes that come with the package: found by name, listed, copied out to be edited."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from sedistill.common.errors import UserError, nearest
from sedistill.common.writing import atomic_folder
from sedistill.common.yaml_files import read_yaml

RECIPES, TABLE = Path(__file__).parent / "recipes", "table.yaml"


def shipped_tables(name: str | None = None) -> list[str]:
    """PAPER/TABLE of the table of that name, of all tables of that paper, or of all that there are.

    Raises UserError naming the nearest where there is none.
    """
    known = sorted(path.parent.relative_to(RECIPES).as_posix() for path in RECIPES.glob(f"*/*/{TABLE}"))
    found = known if name is None else [one for one in known if name in (one, one.split("/")[0])]
    if not found:
        raise UserError(f"no table and no paper is called {name}{nearest(str(name), known)}")
    return found


def table_folder(name: Path | str) -> Path:
    """The folder of a table: the user's own where there is such a folder, else one of the package.

    Raises UserError naming the nearest table.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    tables = shipped_tables(folder.as_posix())
    if folder.as_posix() not in tables:
        raise UserError(f"{name} has several tables; say which: {', '.join(tables)}.")
    return RECIPES / folder


def print_table_names(tables: Sequence[str]) -> None:
    """Print each table's name and what it is about."""
    width = max(map(len, tables))
    for table in tables:
        print(f"{table:<{width}}  {read_yaml(RECIPES / table / TABLE)['title']}")


def copy_recipes(name: str, output: Path | str) -> Path:
    """Copy the recipes of a paper, or of the paper of a table, to `output`/PAPER; returns that folder.

    A paper stays one folder: its tables share recipes, and a recipe is named by its place. Raises UserError
    for unknown names and where the folder exists.
    """
    paper = shipped_tables(name)[0].split("/")[0]
    place = Path(output) / paper
    if place.exists():
        raise UserError(f"{place} exists already; choose another place.")
    with atomic_folder(place) as temporary:
        shutil.copytree(RECIPES / paper, temporary, dirs_exist_ok=True)
    return place
