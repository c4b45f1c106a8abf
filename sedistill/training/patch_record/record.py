"""What a run remembers of the patches of its fixed clips: patches.npz, and everything in it."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sedistill.common.errors import UserError
from sedistill.common.integrity import read_sealed_zip, seal
from sedistill.common.settings import Record
from sedistill.common.writing import atomic_path
from sedistill.training.patch_record.patch_trends import PatchTrends, ThinnedRecords

NAME = "patches.npz"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class PatchRecord:
    """The clips side by side, K frames and T samples in all, with P patches and F bins a frame.

    Attributes:
        facts: what was recorded how, plain numbers and text.
        clips: names of the clips.
        frames, samples: of each clip.
        noisy, clean, estimate: waveforms (T,) at the level at which errors were taken; the estimate is that
            of the last record, times its level factor.
        untrained: errors before the first step (P, K).
        trends: the regression from the first record after `every_steps` steps on, (P, K).
        past: some of the records, evenly spaced (P, K).
        step: of the last record.
        distilled: at how many records DISPatch selected each bin (F, K), of `selections` records at which it
            was in force; None for a run that does not select.
    """

    facts: dict[str, Any]
    clips: list[str]
    frames: NDArray[np.int64]
    samples: NDArray[np.int64]
    noisy: NDArray[np.float32]
    clean: NDArray[np.float32]
    estimate: NDArray[np.float32]
    untrained: NDArray[np.float32]
    trends: PatchTrends
    past: ThinnedRecords
    step: int
    distilled: NDArray[np.int32] | None = None
    selections: int = 0

    def with_untrained(self) -> "PatchRecord":
        """The record in which the untrained network is observation 0."""
        steps, errors = (
            np.append(0, self.past.steps),
            np.concatenate([self.untrained[None], self.past.errors]),
        )
        past = replace(self.past, steps=steps, errors=errors)
        return replace(self, trends=self.trends.with_first(self.untrained), past=past)

    @property
    def frame_slices(self) -> list[slice]:
        """The frames of each clip."""
        return list(_slices(self.frames))

    @property
    def sample_slices(self) -> list[slice]:
        """The samples of each clip."""
        return list(_slices(self.samples))


def _slices(lengths: NDArray[np.int64]) -> Iterator[slice]:
    start = 0
    for length in lengths.tolist():
        yield slice(start, start + length)
        start += length


def write_patch_record(folder: Path, record: PatchRecord) -> None:
    """Write patches.npz into a run's folder, whole or not at all."""
    arrays: dict[str, Any] = {
        "facts": json.dumps({"format_version": FORMAT_VERSION, **record.facts, "clips": record.clips}),
        **{name: getattr(record, name) for name in _PLAIN},
        **{f"trends_{name}": getattr(record.trends, name) for name in _TRENDS},
        **{f"past_{name}": getattr(record.past, name) for name in _PAST},
    }
    if record.distilled is not None:
        arrays["distilled"] = record.distilled
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    buffer.write(seal(buffer.getbuffer()))
    with atomic_path(folder / NAME) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_patch_record(folder: Path | str) -> PatchRecord:
    """Read what a run recorded. Raises UserError where there is nothing, or nothing readable."""
    path = Path(folder) / NAME
    if not Path(folder).is_dir():
        raise UserError(f"{folder} does not exist; give the folder of a run, such as runs/NAME/seed-0.")
    if not path.is_file():
        raise UserError(
            f"{folder} has no {NAME}; train the run with the recipe key patch_record, for example "
            "`patch_record: {clips: 4, every_steps: 1000}`."
        )
    data = read_sealed_zip(path)
    try:
        if data is None:
            raise ValueError
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(str(arrays["facts"]))
        version = facts.pop("format_version")
        if version != FORMAT_VERSION:
            raise UserError(
                f"{path} has format version {version}, this program reads {FORMAT_VERSION}; train it again."
            )
        values = {name: _scalar_or_array(arrays[name]) for name in _PLAIN}
        record = PatchRecord(
            clips=facts.pop("clips"),
            facts=_Facts.model_validate(facts).model_dump(),
            trends=PatchTrends(**{name: _scalar_or_array(arrays[f"trends_{name}"]) for name in _TRENDS}),
            past=ThinnedRecords(**{name: _scalar_or_array(arrays[f"past_{name}"]) for name in _PAST}),
            distilled=arrays.get("distilled"),
            **values,
        )
        _refuse_other_shapes(record)
        return record
    except UserError:
        raise
    except Exception:  # a file that is no record may raise anything
        raise UserError(f"{path} is damaged or cut short; train the run again.") from None


class _Facts(Record):
    """What a record says of itself, as far as it is read."""

    run: str = ""
    seed: int = 0
    teacher: str | None = None
    patch_size: Annotated[int, Field(ge=1)]
    sample_rate: Annotated[int, Field(ge=1)]
    window_length: Annotated[int, Field(ge=2)]
    hop_length: Annotated[int, Field(ge=1)]
    every_steps: Annotated[int, Field(ge=1)]
    clips_hash: str
    rule: str = ""  # which patches were distilled, in words; an earlier version did not say


def _refuse_other_shapes(record: PatchRecord) -> None:
    """Raise ValueError where the parts do not fit each other."""
    patches, frames = record.untrained.shape
    bins = record.facts["window_length"] // 2 + 1
    waves = [(int(record.samples.sum()),)]
    sums = [getattr(record.trends, name).shape for name in ("sums", "moments", "last")]
    fits = (
        len(record.clips) == len(record.frames) == len(record.samples)
        and int(record.frames.sum()) == frames
        and [record.noisy.shape, record.clean.shape, record.estimate.shape] == waves * 3
        and sums == [(patches, frames)] * 3
        and record.past.errors.shape == (len(record.past.steps), patches, frames)
        and (record.distilled is None or record.distilled.shape == (bins, frames))
    )
    if not fits:
        raise ValueError


def _scalar_or_array(values: NDArray) -> Any:
    return values if values.ndim else values.item()


_PLAIN = ("frames", "samples", "noisy", "clean", "estimate", "untrained", "step", "selections")
_TRENDS = ("count", "sums", "moments", "last")
_PAST = ("steps", "errors", "seen", "interval", "capacity")
