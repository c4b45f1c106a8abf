"""The clips whose patches a run records: the first of its validation set, or of what it trains on."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import NDArray
from torch.utils.data import Dataset

from sedistill.common.errors import UserError
from sedistill.data.examples import CropDataset, FixedDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.training.patch_record.record_settings import PatchRecordSettings


@dataclass(frozen=True)
class WatchedClips:
    """A few clips, the same all along. pairs: (noisy, clean), each (T,) float32."""

    names: Sequence[str]
    pairs: Sequence[tuple[NDArray, NDArray]]
    sample_rate: int


def clips_to_watch(settings: PatchRecordSettings, valid_set: FixedSet, training: Dataset) -> WatchedClips:
    """The first clips of `settings.split`. Raises UserError where it has fewer than asked for."""
    clips: Dataset = FixedDataset(valid_set) if settings.split == "valid" else training
    available = len(clips)  # type: ignore[arg-type]
    if settings.clips > available:
        raise UserError(
            f"patch_record.clips = {settings.clips} but data.{settings.split} has {available}; lower it."
        )
    examples = [clips[(0, index)] for index in range(settings.clips)]
    names = [_name(clips, index) for index in range(settings.clips)]
    return WatchedClips(names, [(one["noisy"], one["clean"]) for one in examples], valid_set.sample_rate)


def _name(clips: Dataset, index: int) -> str:
    if isinstance(clips, FixedDataset | CropDataset):
        return clips.set.name(index)
    return f"mixture {index} of epoch 0"
