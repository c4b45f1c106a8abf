"""Nonsense for the command line: recipes with wrong values, damaged text, and what a command made of them.

By hand, at any length:  python -m tests.nonsense FOLDER COUNT [SEED]
"""

import contextlib
import copy
import io
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 10**12, 2**63, -(2**70), 10**400, 0.5, -0.5, 1e30, 1e-30, 1e308,
    float("nan"), float("inf"), -float("inf"), "", " ", "x", "1e-3", "1e3", "nan", "~", "~/none",
    "$NOT_SET/x", "${NOT_SET}", "../../../x", "/", ".", "..", "a\0b", "a\nb", "é" * 300, "=1+1", "音声",
    "\udce9", [], [1], {}, {"a": 1}, [[]], ["x", None], {"x": {"y": {"z": 1}}}, "2024-01-01", [True], "l2",
    "model", "train",
)  # fmt: skip
TEXTS = (
    "2024-99-99", "!!bool foo", "!!int x", "!!python/object:os.system x", "[" * 3000, "{" * 3000, "&a [*a]",
    "*nobody", "<<: 1", "\t", "'", '"\\ud800"', "%", "@", "0o8", "1__2", "- -", "? ", "!!binary x",
    "!!set {a}", "!!timestamp x", "!!float x", "12:99:99", "0x", "|", ">", ": :", "#", "\x00", "\x07", "\r",
    "\ufeff",
)  # fmt: skip
KEYS = (
    "x",
    "",
    "batch-size",
    "batch_size",
    "1",
    "0",
    "é",
    "a.b",
    "loss",
    "base",
    "..",
    "teacher",
    "objectives",
)


@dataclass
class Outcome:
    """What a command did: its exit code, its words on stderr, seconds, and a traceback where one came."""

    code: int
    words: str
    seconds: float
    trace: str = ""

    @property
    def is_plain(self) -> bool:
        """Done, or refused in words with exit code 2."""
        return not self.trace and (self.code == 0 or (self.code == 2 and bool(self.words.strip())))


def run_command(arguments: Sequence[str], seconds: int = 60) -> Outcome:
    """Run `sedistill ARGUMENTS` in this process."""
    from sedistill.cli import app

    out, err = io.StringIO(), io.StringIO()
    started, code, trace = time.monotonic(), 0, ""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            app(list(arguments), standalone_mode=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        code, trace = 1, traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Outcome(code, err.getvalue(), time.monotonic() - started, trace)


def places_in(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key and entry inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, inner in items for one in [(*place, key), *places_in(inner, (*place, key))]]


def spoiled(good: dict[str, Any], known: Sequence[str], draw: random.Random) -> dict[str, Any]:
    """A mapping with one to three wrong things in it. `known`: keys with dots that a good one may have."""
    bad = copy.deepcopy(good)
    for _ in range(draw.randint(1, 3)):
        value = copy.deepcopy(draw.choice(VALUES))
        if draw.random() < 0.6:
            *parents, last = draw.choice(known).split(".")
            group: Any = bad
            for parent in parents:
                group = group.setdefault(parent, {}) if isinstance(group, dict) else {}
            if isinstance(group, dict):
                group[last] = value
        else:
            *path, last = draw.choice(places_in(bad) or [("name",)])
            group = bad
            for key in path:
                group = group[key]
            if draw.random() < 0.3 and isinstance(group, dict):
                group[draw.choice(KEYS)] = value
            elif draw.random() < 0.2 and isinstance(group, dict):
                group.pop(last, None)
            elif isinstance(group, dict | list) and (isinstance(group, dict) or last < len(group)):
                group[last] = value
    return bad


def damaged(text: str, draw: random.Random) -> bytes:
    """Text with a piece lost, put in, doubled or turned to other bytes."""
    data = text.encode("utf-8", "surrogatepass")
    place = draw.randrange(len(data) + 1)
    kind = draw.randrange(7)
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + draw.choice(TEXTS).encode("utf-8", "surrogatepass") + data[place:]
    if kind == 2:
        return data[:place] + draw.randbytes(draw.randint(1, 8)) + data[place + 3 :]
    if kind == 3:
        return data.decode("utf-8", "replace").encode("utf-16")
    lines = data.splitlines(keepends=True) or [b""]
    line = draw.randrange(len(lines))
    if kind == 4:
        lines.insert(line, lines[draw.randrange(len(lines))])
    elif kind == 5:
        del lines[line]
    else:
        key, colon, _ = lines[line].partition(b":")
        lines[line] = key + colon + b" " + draw.choice(TEXTS).encode("utf-8", "surrogatepass") + b"\n"
    return b"".join(lines)


def recipe_text(recipe: dict[str, Any]) -> str:
    """As a person would have it in a file."""
    return yaml.safe_dump(recipe, allow_unicode=True)


def known_keys(kind: Any) -> list[str]:
    """Every key of a Settings class, with dots."""
    from sedistill.common.setting_faults import key_paths

    return list(key_paths(kind))


def bad_recipes(folder: Path, good: dict[str, Any], count: int, seed: int) -> list[tuple[str, Outcome]]:
    """Plan `count` bad recipes; those whose outcome is not plain, with their text.

    With --plan all is opened, built and checked, and nothing trained. `hardware.compile` is left alone: true
    is no nonsense, but takes a minute.
    """
    from sedistill.training.recipe.schema import Recipe

    draw, known, found = random.Random(seed), known_keys(Recipe), []
    known.remove("hardware.compile")
    for number in range(count):
        path = folder / "bad.yaml"
        text = recipe_text(spoiled(good, known, draw))
        path.write_bytes(damaged(text, draw) if draw.random() < 0.3 else text.encode("utf-8", "replace"))
        overrides = []
        if draw.random() < 0.3:
            overrides = [f"{draw.choice([*known, *KEYS])}={draw.choice([*TEXTS, *map(str, VALUES)])}"]
        outcome = run_command(
            ["train", str(path), *overrides, "--plan", "-o", str(folder / f"out-{number}")], seconds=120
        )
        if not outcome.is_plain:
            found.append((f"{path.read_bytes()!r} {overrides}", outcome))
    return found


def bad_options(commands: Sequence[Sequence[str]], count: int, seed: int) -> list[tuple[str, Outcome]]:
    """Run `count` commands, one argument of each of which is nonsense; those whose outcome is not plain."""
    draw, found = random.Random(seed), []
    values = [text for text in (*TEXTS, *KEYS, *map(str, VALUES)) if "\0" not in text and len(text) < 1000]
    for _ in range(count):
        arguments = list(draw.choice(commands))
        place = draw.randrange(1, len(arguments))
        key, equals, _ = arguments[place].partition("=")
        arguments[place] = f"{key}={draw.choice(values)}" if equals else draw.choice(values)
        outcome = run_command(arguments, seconds=120)
        if not outcome.is_plain:
            found.append((repr(arguments), outcome))
    return found


def damaged_file(
    path: Path, arguments: Sequence[str], count: int, seed: int, clean_up: Callable[[], None] = lambda: None
) -> list[tuple[str, Outcome]]:
    """Damage a text file `count` times and run a command that reads it; then put it back."""
    good, draw, found = path.read_bytes(), random.Random(seed), []
    try:
        for _ in range(count):
            bad = damaged(good.decode("utf-8"), draw)
            path.write_bytes(bad)
            outcome = run_command(arguments)
            clean_up()
            if not outcome.is_plain:
                found.append((repr(bad), outcome))
    finally:
        path.write_bytes(good)
    return found


if __name__ == "__main__":
    place, wanted = Path(sys.argv[1]), int(sys.argv[2])
    recipe = yaml.safe_load((place / "good.yaml").read_text())
    for text, outcome in bad_recipes(place, recipe, wanted, int(sys.argv[3]) if sys.argv[3:] else 0):
        print("----", outcome.code, f"{outcome.seconds:.1f} s", text[:600])
        print(outcome.trace[-1500:] or outcome.words[-500:])
