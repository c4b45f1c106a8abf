"""Parts from other packages: losses, networks, teachers and enhancement losses that are not of this one.

An installed package offers parts by name (entry points); to have installed it is to trust it. Any other class
is named by its path, such as `their_package.losses.Theirs`, and is imported only where its code is trusted.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, packages_distributions, version
from typing import Any, Literal, TypeVar

from sedistill.common.errors import UserError, nearest

Part = TypeVar("Part")
Kind = Literal["losses", "networks", "teachers", "enhancement_losses"]
"""Kind -> entry points of the group `sedistill.KIND`."""

TRUSTED = "SEDISTILL_TRUSTED"
"""Variable of the environment by which a command that trusts tells the processes that it starts."""

_CLASS = re.compile(r"([^\W\d]\w*\.)+[A-Z]\w*")  # package.module.Class

_trusted: ContextVar[bool] = ContextVar("trusted", default=bool(os.environ.get(TRUSTED)))


@contextmanager
def trusting_code(trust: bool = True) -> Iterator[None]:
    """Inside, recipes and saved models may name classes of packages that are not installed as extensions.

        with sedistill.trusting_code():
            network = sedistill.load_model("runs/theirs/seed-0/student")

    Their modules are imported, so whatever stands in them runs. On the command line it is `--trust-code`.
    """
    token = _trusted.set(trust or _trusted.get())
    try:
        yield
    finally:
        _trusted.reset(token)


def code_is_trusted() -> bool:
    return _trusted.get()


def refuse_untrusted(what: str, way_on: str = "") -> None:
    """Raise UserError unless code is trusted. what: what would run, as the beginning of the sentence."""
    if not code_is_trusted():
        raise UserError(
            f"{what}, which is not run unasked: give --trust-code (in Python: with "
            f"sedistill.trusting_code()){way_on}."
        )


def names_a_part(kind: Kind, text: str) -> bool:
    """Whether a text reads as a class of another package, by its path or by a name that is installed."""
    return _CLASS.fullmatch(text) is not None or text in installed(kind)


def installed(kind: Kind) -> dict[str, EntryPoint]:
    """What installed packages offer, by name."""
    return {point.name: point for point in entry_points(group=f"sedistill.{kind}")}


def find_part(kind: Kind, name: Any, own: Mapping[str, Part], what: str, fits: Callable[[Any], bool]) -> Part:
    """The part of a name: one of `own`, of an installed package, or of any module, once code is trusted.

    what: what it is called in messages. fits: whether something is such a part.
    Raises UserError, with one sentence, for all else.
    """
    if isinstance(name, str) and name in own:
        return own[name]
    offered = installed(kind)
    paths = {point.value.replace(":", "."): point for point in offered.values()}
    point = offered.get(name) or paths.get(name) if isinstance(name, str) else None
    if point is None and (not isinstance(name, str) or "." not in name):
        raise UserError(f"there is no {what} '{name}'{nearest(name, [*own, *offered])}")
    if point is None:
        refuse_untrusted(f"{what} {name} is code of another package", ", or install a package that offers it")
    part = _imported(point.value.replace(":", ".") if point else name, what)
    if not fits(part):
        raise UserError(f"{name} is no {what} that can be used here; see docs/extend.md.")
    return part


def path_of(part: type) -> str:
    """The path by which a class is found again. Raises UserError for one that no import would find."""
    path, found = f"{part.__module__}.{part.__qualname__}", sys.modules.get(part.__module__)
    for name in part.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is not part or part.__module__ == "__main__":
        raise UserError(
            f"{part.__name__} cannot be saved: it is found again by the name of its module, so write it into "
            "a module that can be imported."
        )
    return path


def package_of(path: str) -> str | None:
    """The installed package and its version that a class comes from; None for a module that is in none."""
    top = path.partition(".")[0]
    for package in packages_distributions().get(top, ()):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return None


def _imported(path: str, what: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # whatever their code does
        raise UserError(
            f"{what} {path} cannot be imported ({type(error).__name__}: {error}); install the package that "
            "it is of, or mend its name."
        ) from error
