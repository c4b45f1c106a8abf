"""A teacher by what a recipe or a command line says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken
from sedistill.common.yaml_files import parse_yaml, read_yaml
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.ready_made import is_ready_made
from sedistill.teachers.foreign import ForeignTeacher, InStep
from sedistill.teachers.measuring import measured
from sedistill.teachers.packaged import is_packaged, packaged_teacher
from sedistill.teachers.saved import SavedTeacher
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import BUNDLED, TeacherFrom, teacher_from

DEEPFILTERNET = "deepfilternet"


def open_teacher(
    spec: Path | str | Mapping[str, Any] | TeacherFrom,
    sample_rate: int,
    correct_level: bool = True,
    on: FixedSet | Path | str | None = None,
) -> TeacherSource:
    """What cleans speech, as a teacher: a function of noisy (B, T) to estimates (B, T), frozen.

    Args:
        spec: the folder of a saved model, the name of a ready-made one, a teacher of another package,
            "deepfilternet", or a mapping as `teacher:` takes it in a recipe (docs/teachers.md), such as
            {"onnx": "denoiser.onnx"}.
        sample_rate: Hz of the data.
        correct_level: multiply by its measured factor onto clean speech.
        on: a set of pairs on which to measure how late, how loud and how wide a teacher from elsewhere is;
            None: it is taken as stated.

    Raises UserError when there is none, or none that can teach at this rate.
    """
    settings = settings_of(spec)
    if settings is None:
        assert not isinstance(spec, Mapping | TeacherFrom)
        return _open_at_its_rate(Path(spec), sample_rate, correct_level)
    inner = open_foreign(settings)
    delay = round((settings.delay_ms or 0) * (inner.sample_rate or sample_rate) / 1000)
    source = TeacherSource(InStep(inner, sample_rate, delay))
    return source if on is None else measure_on(source, settings, _as_set(on), correct_level)


def measure_on(
    source: TeacherSource,
    settings: TeacherFrom,
    dataset: FixedSet,
    correct_level: bool = True,
    place: Path | None = None,
) -> TeacherSource:
    """The same teacher with what was measured on a set, at its rate, applied. Raises UserError.

    place: where such measurements are kept.
    """
    teacher = source.teacher
    assert isinstance(teacher, InStep)
    found = measured(teacher, dataset, settings.delay_ms, place)
    level = found.level.factor if correct_level else 1.0
    return TeacherSource(InStep(teacher.inner, teacher.sample_rate, found.delay), level, measured=found)


def open_foreign(settings: TeacherFrom) -> ForeignTeacher:
    """The teacher itself. Raises UserError."""
    # Each is imported where it is asked for: they need packages that not everybody has.
    if settings.kind == DEEPFILTERNET:
        from sedistill.teachers.deepfilternet.teacher import DeepFilterNet

        return DeepFilterNet(settings)
    if settings.kind == "onnx":
        from sedistill.teachers.onnx_graph import OnnxTeacher

        return OnnxTeacher(settings)
    from sedistill.teachers.file_teachers import Command, Folder
    from sedistill.teachers.torch_programs import PythonFunction, TorchProgram

    kinds: dict[str, type[Command | Folder | PythonFunction | TorchProgram]] = {
        "torchscript": TorchProgram,
        "exported": TorchProgram,
        "python": PythonFunction,
        "command": Command,
        "folder": Folder,
    }
    return kinds[settings.kind](settings)


def settings_of(spec: Path | str | Mapping[str, Any] | TeacherFrom) -> TeacherFrom | None:
    """Settings where this names a teacher from elsewhere; None where it names a saved model.

    A folder wins over a name, as it does over that of a ready-made network. A text {...} is read as YAML, a
    file that ends in .yaml too, and one that ends in .onnx is {onnx: FILE}.
    """
    if isinstance(spec, TeacherFrom):
        return spec
    if isinstance(spec, Mapping):
        return teacher_from(dict(spec))
    text = str(spec)
    if text.startswith("{"):
        return teacher_from(parse_yaml(text, f"the teacher '{text}'", "quote it for the shell"))
    if text == DEEPFILTERNET and not is_taken(Path(text)) and not is_ready_made(text):
        return TeacherFrom(deepfilternet=BUNDLED)
    if Path(text).is_dir():
        return None
    if text.endswith(".onnx"):
        return TeacherFrom(onnx=Path(text))
    return teacher_from(read_yaml(text)) if text.endswith((".yaml", ".yml")) else None


def _open_at_its_rate(place: Path, sample_rate: int, correct_level: bool) -> TeacherSource:
    """A saved model, or a class of another package."""
    teacher = packaged_teacher(place) if is_packaged(place) else SavedTeacher(place)
    if teacher.sample_rate != sample_rate:
        raise UserError(
            f"the teacher {teacher.name} is for {teacher.sample_rate} Hz but the data have "
            f"{sample_rate} Hz; prepare the data at the teacher's rate or choose another teacher."
        )
    return TeacherSource(teacher, float(getattr(teacher, "output_gain", 1.0)) if correct_level else 1.0)


def _as_set(on: FixedSet | Path | str) -> FixedSet:
    return on if isinstance(on, FixedSet) else FixedSet(on)
