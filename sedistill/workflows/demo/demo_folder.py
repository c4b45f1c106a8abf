"""The folder of a demo: where everything lies, whose it is, and how long each station took."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

import sedistill
from sedistill.common.errors import UserError
from sedistill.common.paths import as_is
from sedistill.common.report.figures import Role
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import exclusive_lock, refuse_foreign_folder, write_whole
from sedistill.common.yaml_files import yaml_text

RECIPES = Path(__file__).parent / "recipes"
STUDENTS: tuple[Role, ...] = ("alone", "distilled")
NETWORKS: tuple[Role, ...] = (*STUDENTS, "teacher")  # in the order in which they are evaluated
TEACHER = "fastenhancer-b"  # ready-made: it comes with the package
EXPECTED_MINUTES = {
    "Speech and noise, made on the spot": 0.2,
    "Mixtures of both, for training, validation and test": 0.1,
    "The student learns alone": 2.6,
    "The same student learns from the teacher too": 3.6,
    "All of them on mixtures they never met": 0.4,
    "One file enhanced, and the page": 0.1,
}
"""On two cores; how long they really take tells how long those still to come will."""
SEED = 0
METRICS = ("si_sdr", "pesq_wb", "stoi")
MARKER, LOCK = "demo.yaml", ".demo.lock"

# Clips about as long as the sentences, in noise heavy enough that minutes of training can be heard.
SNR_DB = (0.0, 15.0)
SETS = {"train": (800, 2.0), "valid": (40, 3.0), "test": (60, 3.0)}  # clips, seconds each


class _Marker(Record):
    """What demo.yaml has to hold."""

    made_by: dict[str, str]
    minutes: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]


@dataclass
class Demo:
    """Where everything lies, and how long each station took over all attempts."""

    folder: Path
    minutes: dict[str, float] = field(default_factory=dict)

    def place(self, name: str) -> Path:
        return self.folder / name

    def network(self, run: str) -> Path | str:
        """A student's folder, or the name of the teacher."""
        return TEACHER if run == "teacher" else self.folder / "runs" / run / "student"

    def recipe_arguments(self, run: str) -> tuple[Path, list[str]]:
        """The recipe of a run and what the demo fills in, as `sedistill train` gets them."""
        paths = {"data.train": self.place("sets/train"), "data.valid": self.place("sets/valid")}
        return self.place(f"recipes/{run}.yaml"), [
            f"{key}={json.dumps(as_is(path))}" for key, path in paths.items()
        ]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other demo is at work in the folder, which is a demo's or new."""
        refuse_foreign_folder(self.folder, MARKER)
        with exclusive_lock(self.place(LOCK), "sedistill demo"):
            yield

    def claim(self, overwrite: bool) -> None:
        """Take the folder: a new or empty one, or an earlier demo of the same code to go on with."""
        marker = self.place(MARKER)
        if overwrite and marker.exists():
            self._clear()
        if marker.exists():
            written = read_record(_Marker, marker, "say --overwrite to make the demo anew")
            if written["made_by"] != made_by():
                raise UserError(f"{self.folder} is a demo of other code; say --overwrite to make it anew.")
            self.minutes = written["minutes"]
            print(f"Going on with the demo in {self.folder}; what is finished is kept.")
        self._save()

    @contextmanager
    def station(self, title: str) -> Iterator[None]:
        """Announce a station and what is left, and count its minutes even when it is interrupted."""
        number = list(EXPECTED_MINUTES).index(title) + 1
        gone, left = sum(self.minutes.values()), self.minutes_left(title)
        so_far = f"{gone:.1f} min so far, " if gone else ""
        print(
            f"\n[{number}/{len(EXPECTED_MINUTES)}] {title}  ({so_far}about {left:.0f} min to the end)",
            flush=True,
        )
        started = time.monotonic()
        try:
            yield
        finally:
            taken = (time.monotonic() - started) / 60
            self.minutes[title] = round(self.minutes.get(title, 0.0) + taken, 3)
            self._save()

    def minutes_left(self, title: str) -> float:
        """From the beginning of this station on, by what those before it took here."""
        titles = list(EXPECTED_MINUTES)
        done = titles[: titles.index(title)]
        expected = sum(EXPECTED_MINUTES[one] for one in done)
        pace = sum(self.minutes.get(one, 0.0) for one in done) / expected if expected > 1 else 1.0
        return max(pace, 0.2) * sum(EXPECTED_MINUTES[one] for one in titles[len(done) :])

    def _clear(self) -> None:
        """Remove all but the lock; the marker last, so that what a kill leaves is still known for a demo."""
        places = sorted(self.folder.iterdir(), key=lambda place: place.name == MARKER)
        for place in places:
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            elif place.name != LOCK:
                place.unlink()

    def _save(self) -> None:
        facts = {"made_by": made_by(), "seed": SEED, "minutes": self.minutes}
        write_whole(self.place(MARKER), yaml_text(facts))


def made_by() -> dict[str, str]:
    """What decides the demo's results: the version and the recipes."""
    recipes = "".join(path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("*.yaml")))
    digest = hashlib.sha256((recipes + repr((SETS, SNR_DB, METRICS))).encode()).hexdigest()
    return {"sedistill": sedistill.__version__, "recipes": digest[:12]}
