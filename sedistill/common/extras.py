"""Packages of the extras: loaded where they are used, or refused with what to type."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from sedistill.common.errors import UserError
from sedistill.common.wording import listed


def needed(module: str, extra: str, what: str = "this", package: str = "") -> ModuleType:
    """A module of a package that the extra brings. Raises UserError where it is not installed.

    what: needs it, for the sentence; package: where its name is another than the module's.
    """
    try:
        return import_module(module)
    except ImportError:
        raise UserError(_sentence([package or module], extra, what)) from None


def require(packages: Sequence[str], extra: str, what: str) -> None:
    """Raise UserError where one of them is not installed; none is loaded."""
    missing = [one for one in packages if find_spec(one) is None]
    if missing:
        raise UserError(_sentence(missing, extra, what))


def _sentence(packages: Sequence[str], extra: str, what: str) -> str:
    return f"{what} needs {listed(packages)}; type: pip install 'sedistill[{extra}]'"
