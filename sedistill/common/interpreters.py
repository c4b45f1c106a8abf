"""Python processes that import from where this one was installed, never from the current folder.

Python looks first in the folder of the main script or, with `-c` and `-m`, in the current one. A `pesq.py` or
`types.py` that lies there by chance would take the place of the real one, and PESQ be whatever it says.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sedistill.common.extensions import TRUSTED, code_is_trusted

PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])

WITHOUT_CURRENT_FOLDER = "import sys; sys.path[:] = [place for place in sys.path if place]\n"
"""The first line of a program given with -c, before which nothing is imported; Python 3.10 has no -P."""


def python_command(program: str, *arguments: str) -> list[str]:
    """The words that run a program (its text) in a process of its own; start it in `python_environment`."""
    return [sys.executable, "-c", WITHOUT_CURRENT_FOLDER + program, *arguments]


def module_command(module: str, *arguments: str) -> list[str]:
    """`python -m module arguments`, without the current folder."""
    program = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return python_command(program, *arguments)


def python_environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`, and with its import path but for the current folder.

    What is trusted here (`sedistill.common.extensions`) is trusted there.
    """
    places = [place for place in import_path() if os.pathsep not in place]
    trusted = {TRUSTED: "1"} if code_is_trusted() else {}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONSAFEPATH": "1", **trusted, **changes}


def import_path() -> list[str]:
    """`sys.path` without the current folder and the main script's, however they came to be there.

    A place that PYTHONPATH names in full stays, and so does the one that holds this package, but as the last:
    what is installed comes before what lies about.
    """
    current = Path.cwd()
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    unwanted = {current, current.resolve()} | ({Path(script).resolve().parent} if script else set())
    unwanted -= {Path(place) for place in sysconfig.get_paths().values()}  # started in site-packages itself
    named = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(place)]
    installed = [place for place in sys.path if os.path.isabs(place) and Path(place) not in unwanted]
    last = [place for place in (*named, PACKAGE_PARENT) if place not in installed]
    return list(dict.fromkeys([*installed, *last]))


@contextmanager
def importing_safely() -> Iterator[None]:
    """Processes that multiprocessing starts meanwhile do not look into the current folder either.

    That holds from Python 3.11 on. Before, they do where they are spawned rather than forked (macOS,
    Windows), until the import path of this process reaches them.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
