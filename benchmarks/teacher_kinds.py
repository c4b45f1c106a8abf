"""One network as a teacher in several ways: itself, its ONNX export, a program over files, and a folder.

    python benchmarks/teacher_kinds.py TEACHER TRAIN VALID PAIRS -o WORK [--steps 20 150]

TEACHER: a saved model; TRAIN, VALID: fixed sets; PAIRS: what the students are scored on. The same short
training is done with each, its level left as it is, and what the students make of the pairs is compared
with what the first one does. Training amplifies what rounding begins, so one more teacher says how much: the
folder once more, louder by a millionth.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch

from sedistill.common.extensions import trusting_code
from sedistill.common.yaml_files import yaml_text
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.command import evaluate
from sedistill.inference.exporting.command import export
from sedistill.models.saving import load_model
from sedistill.teachers.opening import open_teacher
from sedistill.training.run import train

PROGRAM = """
import sys
from sedistill import enhance_files
enhance_files(sys.argv[1], [sys.argv[2]], sys.argv[3], correct_level=False)
"""


def kinds(teacher: str, train_set: FixedSet, work: Path) -> Iterator[tuple[str, object]]:
    """The same network by the name of each kind, as `teacher:` takes it."""
    yield "saved model", teacher
    export(teacher, work / "model.onnx", form="clip", correct_level=False, overwrite=True)
    yield "onnx", {"onnx": str(work / "model.onnx")}
    model = open_teacher(teacher, train_set.sample_rate, correct_level=False)
    for name, gain in {"folder": 1.0, "folder, louder": 1 + 1e-6}.items():
        place = work / name.replace(", ", "-")
        place.mkdir(exist_ok=True)
        for index in range(len(train_set)):
            file, wave = place / f"{train_set.clip_id(index)}.wav", model.on_clip(train_set, index)
            soundfile.write(file, np.float64(gain) * wave, train_set.sample_rate, subtype="FLOAT")
        yield name, {"folder": str(place)}
    (work / "program.py").write_text(PROGRAM)
    words = shlex.join([sys.executable, str(work / "program.py"), teacher])
    yield "command", {"command": f"{words} {{input}} {{output_file}}"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("teacher", "train", "valid", "pairs"):
        parser.add_argument(name)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 150])
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    train_set, pairs, rows = FixedSet(options.train), FixedSet(options.pairs), list[str]()
    with trusting_code():
        teachers = dict(kinds(options.teacher, train_set, options.output))
        for steps in options.steps:
            rows.append(f"{'teacher':16} {'apart':>9} {'students':>9} {'WB-PESQ':>8}   after {steps} steps")
            students = {}
            for name, teacher in teachers.items():
                students[name] = student = trained(name, teacher, steps, options)
                outputs = [_apart_db(students["saved model"], student, pairs, n) for n in range(len(pairs))]
                scores = evaluate(student, options.pairs, metrics=["pesq_wb"])
                score = next(scores.mean(one, "pesq_wb") for one in scores.models if one != "noisy")
                apart = [_teachers_apart_db(options.teacher, teacher, train_set, n) for n in range(3)]
                rows.append(f"{name:16} {max(apart):6.0f} dB {max(outputs):6.1f} dB {score:8.4f}")
    print("\n".join(rows))
    print("apart: difference over output, of the clip where it is largest; -inf: bit for bit the same")


def trained(name: str, teacher: object, steps: int, options: argparse.Namespace) -> Path:
    """The folder of a student."""
    recipe = {
        "name": name, "student": "fastenhancer-t", "teacher": teacher, "se_loss": "gtcrn",
        "objectives": [{"loss": "complex_l2", "power": 0.3, "weight": 100}],
        "data": {"train": options.train, "valid": options.valid},
        "teacher_use": {"correct_level": False}, "hardware": {"threads": 1},
        "optimiser": {"batch_size": 4, "max_steps": steps, "learning_rate": 2e-3},
    }  # fmt: skip
    path = options.output / f"{name.replace(', ', '-').replace(' ', '-')}-{steps}.yaml"
    path.write_text(yaml_text(recipe))
    return train(path, output=options.output / path.stem)


def _teachers_apart_db(first: str, other: object, clips: FixedSet, index: int) -> float:
    one, two = (
        open_teacher(spec, clips.sample_rate, correct_level=False).on_clip(clips, index)
        for spec in (first, other)
    )
    return _ratio_db(one - two, one)


@torch.no_grad()
def _apart_db(first: Path, other: Path, clips: FixedSet, index: int) -> float:
    noisy = torch.from_numpy(clips.noisy(index))[None]
    one, two = (load_model(folder).eval()(noisy).numpy() for folder in (first, other))
    return _ratio_db(one - two, one)


def _ratio_db(difference: np.ndarray, whole: np.ndarray) -> float:
    energies = [float(np.square(one.astype(np.float64)).sum()) for one in (difference, whole)]
    return 10 * math.log10(energies[0] / energies[1]) if energies[0] else -math.inf


if __name__ == "__main__":
    main()
