"""The same by hand: the commands that this one stands for."""

import json
import shlex
from collections.abc import Iterator

from sedistill.common.extensions import code_is_trusted
from sedistill.common.reading import NAMES
from sedistill.common.writing import write_whole
from sedistill.data.mixing import MixingSettings
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.workflows.distilling import stages
from sedistill.workflows.distilling.networks import Networks
from sedistill.workflows.distilling.plan import students
from sedistill.workflows.distilling.recipes import DISTILLED, SEED, TEACHER
from sedistill.workflows.distilling.result_folder import (
    CHECKED,
    CORPUS,
    ENHANCED,
    RECIPES,
    SCORES,
    ResultFolder,
)
from sedistill.workflows.jobs import Run

HEADER = """\
#!/bin/sh
# What `sedistill distil` did here, as single commands. In a new folder, beside a copy of recipes/, they do
# the same again. Change what you like in the recipes and go on.
set -e
"""


def write_commands(work: ResultFolder, networks: Networks) -> None:
    """Write commands.sh into the result's folder."""
    write_whole(work.place("commands.sh"), HEADER + "\n".join(lines(work, networks)) + "\n", **NAMES)


def lines(work: ResultFolder, networks: Networks) -> Iterator[str]:
    """The commands, with a comment before each part."""
    asked, decided = work.asked, work.decided
    assert decided is not None
    yield "\n# check every file, and split by speaker and noise"
    yield _line("prepare", *_sources(work), "--sample-rate", networks.sample_rate, "-o", CORPUS)
    yield "\n# mixtures that stay the same"
    for split, count in decided.clips.items():
        yield _line(
            "mix", CORPUS, "--split", split, "--count", count, "--seed", SEED, *_mixing(split),
            "-o", f"sets/{split}",
        )  # fmt: skip
    if networks.larger is not None:
        yield "\n# a larger network, to teach"
        yield _line("train", f"{RECIPES}/{TEACHER}.yaml")
    teacher = _teacher(networks)
    yield "\n# is the teacher better than the noisy input?"
    yield _line(
        "evaluate", teacher, "--on", "sets/valid", "--metrics", ",".join(stages.CHECKED_BY),
        "-o", CHECKED,
    )  # fmt: skip
    yield "\n# the student; the teacher's outputs are kept in sets/train the first time"
    runs = students(asked.twin)
    for name in runs:
        yield _line("train", f"{RECIPES}/{name}.yaml")
    yield "\n# measure, listen, use"
    models = [Run(name, SEED).student for name in runs]
    yield _line(
        "evaluate", *models, teacher, "--on", "sets/test", "--metrics", ",".join(stages.SCORED_BY),
        "-o", SCORES,
    )  # fmt: skip
    student, heard = Run(DISTILLED, SEED).student, asked.noisy or "sets/test/noisy"
    yield _line("enhance", heard, "--model", student, "-o", ENHANCED)


def _teacher(networks: Networks) -> object:
    """The teacher as a word of a command; JSON is YAML, too."""
    if isinstance(networks.teacher, TeacherFrom):
        return json.dumps(networks.teacher.given, ensure_ascii=False)
    return networks.teacher or Run(TEACHER, SEED).student


def _sources(work: ResultFolder) -> list[object]:
    words: list[object] = []
    for name in ("clean", "noise"):
        folder = getattr(work.asked, name)
        if folder is not None:
            words += [f"--{name}", folder]
    if work.asked.start is not None:
        words += ["--join", work.asked.start / CORPUS]
    return words


def _mixing(split: str) -> list[str]:
    default = MixingSettings().model_dump()
    settings = stages.mixing_of(split).model_dump()
    changed = [f"{key}={value}" for key, value in settings.items() if value != default[key]]
    return [word for change in changed for word in ("--set", change)]


def _line(*words: object) -> str:
    trust = ["--trust-code"] if code_is_trusted() and words[0] in ("train", "evaluate", "enhance") else []
    return shlex.join(["sedistill", *map(str, words), *trust])
