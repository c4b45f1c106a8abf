"""How a result came about, in one form: `made_by` in every file of results, the last lines of every page."""

import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

import sedistill
from sedistill.common.devices import hardware
from sedistill.common.settings import Record

KEY = "made_by"


class Provenance(Record):
    """What somebody needs to make the same again.

    Attributes:
        command: as it was given.
        versions: of this program, Python and the packages that matter.
        hardware: processor, cores and GPU.
        seeds: those that decide the result.
        hashes: of the data and networks that it is made from, by what they are.
    """

    command: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: str = ""
    seeds: list[int] = Field(default_factory=list)
    hashes: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def now(
        cls,
        packages: Iterable[str] = ("numpy", "torch"),
        seeds: Iterable[int] = (),
        hashes: Mapping[str, str | None] | None = None,
    ) -> "Provenance":
        """Of what this process makes, with the versions of these packages; a hash of None is left out."""
        return cls(
            command=command_line(),
            versions={
                "sedistill": sedistill.__version__,
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in packages},
            },
            hardware=hardware(),
            seeds=list(seeds),
            hashes={name: value for name, value in (hashes or {}).items() if value is not None},
        )

    def facts(self) -> dict[str, Any]:
        """As it is written into a file, under its key."""
        return {KEY: self.model_dump(exclude_defaults=True)}

    def lines(self) -> list[tuple[str, str]]:
        """As a page shows it."""
        told = [
            ("seeds", ", ".join(map(str, self.seeds))),
            ("hashes", ", ".join(f"{name} {value[:12]}" for name, value in self.hashes.items())),
            ("hardware", self.hardware),
            ("versions", ", ".join(f"{name} {version}" for name, version in self.versions.items())),
            ("command", self.command),
        ]
        return [(name, text) for name, text in told if text]


def command_line() -> str:
    """The command of this process, such as "sedistill mix corpus --split test"."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.stem
    return shlex.join([name, *sys.argv[1:]])
