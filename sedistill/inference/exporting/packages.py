"""The packages that exporting takes, loaded where they are used."""

from importlib import import_module
from types import ModuleType

from sedistill.common.errors import UserError


def package(name: str) -> ModuleType:
    """The package of that name; raises UserError with what to type where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"this needs {name}; type: pip install 'sedistill[export]'") from None
