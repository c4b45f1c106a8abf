"""The packages that exporting takes, loaded where they are used."""

from types import ModuleType

from sedistill.common.extras import needed


def package(name: str) -> ModuleType:
    """The package of that name; raises UserError with what to type where it is not installed."""
    return needed(name, "export")
