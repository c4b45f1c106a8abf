"""The sound that a recipe names, opened and checked: what is trained on, and what is validated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import Dataset

from sedistill.common.errors import UserError
from sedistill.common.reading import is_taken
from sedistill.data.batches import refuse_unequal_lengths
from sedistill.data.corpus import FACTS as CORPUS_FACTS
from sedistill.data.corpus import Corpus
from sedistill.data.crops import Pairs
from sedistill.data.examples import CropDataset, EpochClips, FixedDataset, MixtureDataset
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.noisy_recordings import RecordingCrops, Recordings, WithRecordings
from sedistill.data.pair_alignment import check_some
from sedistill.teachers.foreign import Clips
from sedistill.training.recipe.schema import Recipe
from sedistill.training.recipe.size_defaults import chosen_text, speech_text, with_batches, with_limits


@dataclass
class TrainingData:
    """What is trained on. fixed_set is None for mixtures made on the fly; hash is of the recordings.

    epochs: the clips of each epoch that comes again: of a fixed set its own; none where all are new.
    batch_size: clips of `dataset` in a batch.
    recordings: what else each batch holds, without clean speech: so many crops of these, if any.
    with_outputs: all of these with the teachers' kept outputs, once they are there.
    """

    dataset: Dataset
    kind: str
    clip_seconds: float
    hash: str
    fixed_set: FixedSet | None = None
    epochs: Sequence[Clips] = ()
    batch_size: int = 1
    recordings_a_batch: int = 0
    recordings: RecordingCrops | None = None
    with_outputs: Dataset | None = None

    @property
    def with_recordings(self) -> Dataset:
        """What batches are made of."""
        return self.dataset if self.recordings is None else WithRecordings(self.dataset, self.recordings)

    @property
    def batches(self) -> int:
        """Of an epoch."""
        return len(self.dataset) // self.batch_size  # type: ignore[arg-type]

    @property
    def recording_epochs(self) -> Sequence[Clips]:
        """The crops of recordings of each epoch that comes again."""
        crops = self.recordings
        return [EpochClips(crops, epoch) for epoch in range(crops.repeat_epochs or 0)] if crops else ()


def open_data(asked: Recipe, sample_rate: int) -> tuple[Recipe, TrainingData, FixedSet, str]:
    """What is trained and validated on; the recipe with what it left out, chosen by size; that in words."""
    source = open_source(asked, sample_rate)
    files, seconds = speech_in(source)
    recipe = with_batches(asked, seconds, on_the_fly=isinstance(source, Corpus))
    data = with_recordings(recipe, open_training_data(recipe, source), sample_rate)
    batches = data.batches
    recipe = with_limits(recipe, seconds, batches)
    valid_set = open_fixed_set(recipe.data.valid, sample_rate, "data.valid", recipe.data.trust_pairs)
    if recipe.data.valid_clips is not None:
        valid_set = valid_set.evenly(recipe.data.valid_clips)
    valid = f"{len(valid_set)} clips ({valid_set.seconds / 60:.1f} min)"
    told = chosen_text(asked, recipe, speech_text(files, seconds), batches, valid)
    return recipe, data, valid_set, told


def open_source(recipe: Recipe, sample_rate: int) -> Corpus | FixedSet:
    """A prepared corpus or a fixed set: told apart by what the folder holds. Raises UserError."""
    path, data = recipe.data.train, recipe.data
    if not is_taken(path / CORPUS_FACTS):
        return open_fixed_set(path, sample_rate, "data.train", data.trust_pairs)
    if data.crop_seconds is not None:
        raise UserError(
            f"data.crop_seconds is for a fixed set but {path} is a corpus; use data.mixing.clip_seconds."
        )
    corpus = Corpus.load(path, data.shards)
    refuse_other_rate(path, corpus.sample_rate, sample_rate, "data.train")
    return corpus


def speech_in(source: Corpus | FixedSet) -> tuple[int, float]:
    """Files of speech to train on, and their seconds."""
    if isinstance(source, FixedSet):
        return len(source), source.seconds
    speech = source.split("train").kind("clean")
    return len(speech), speech.seconds


def open_training_data(recipe: Recipe, source: Corpus | FixedSet) -> TrainingData:
    """Mixtures of a corpus made on the fly, or the clips of a fixed set. Raises UserError."""
    path, data = recipe.data.train, recipe.data
    if isinstance(source, Corpus):
        dataset = MixtureDataset(
            source, "train", data.mixing, recipe.seed, data.epoch_mixtures, data.segment_stride_seconds,
            data.repeat_epochs,
        )  # fmt: skip
        refuse_too_few(len(dataset), recipe, path)
        check_some(source, trust=data.trust_pairs)
        kind = "mixtures made on the fly"
        if isinstance(dataset.source, Pairs):
            kind = "crops of ready pairs" if dataset.segments is None else "segments of ready pairs"
        return drawn_data(dataset, kind, data.mixing.clip_seconds or 0.0, source.hash)
    fixed = source
    refuse_too_few(len(fixed), recipe, path)
    if data.crop_seconds is not None:
        crops = CropDataset(
            fixed, data.crop_seconds, recipe.seed, data.segment_stride_seconds, data.repeat_epochs
        )
        kind = "crops of a fixed set" if crops.segments is None else "segments of a fixed set"
        return drawn_data(crops, kind, data.crop_seconds, fixed.hash)
    if data.repeat_epochs is not None and not recipe.recordings_a_batch:
        raise UserError(
            f"data.repeat_epochs is for mixtures made on the fly and for crops, but {path} is a fixed set "
            "used as it is, the same in every epoch; take it out."
        )
    if data.segment_stride_seconds is not None:
        raise UserError(
            f"data.segment_stride_seconds is for clips to be cut, but {path} is a fixed set used as it is; "
            "give data.crop_seconds too, or take it out."
        )
    clips = FixedDataset(fixed)
    refuse_unequal_lengths(clips)
    seconds = float(fixed.lengths.mean()) / fixed.sample_rate
    return TrainingData(clips, "a fixed set", seconds, fixed.hash, fixed, [fixed])


def drawn_data(
    dataset: MixtureDataset | CropDataset, kind: str, clip_seconds: float, recordings_hash: str
) -> TrainingData:
    """What is made on the fly, in each epoch anew or of some epochs over and over."""
    count = dataset.repeat_epochs or 0
    if count:
        kind += f", those of {count} epoch{'s' if count > 1 else ''} again and again"
    epochs = [EpochClips(dataset, epoch) for epoch in range(count)]
    return TrainingData(dataset, kind, clip_seconds, recordings_hash, epochs=epochs)


def open_fixed_set(path: Path, sample_rate: int, key: str, trust_pairs: bool) -> FixedSet:
    """The set at `path`, at the student's rate, of pairs that fit or are trusted. Raises UserError."""
    if not path.exists():
        raise UserError(f"{key}: {path} does not exist; make it with `sedistill prepare` or `sedistill mix`.")
    if is_taken(path / CORPUS_FACTS):
        raise UserError(
            f"{key}: {path} is a corpus; a fixed set is needed here: make one with `sedistill mix`."
        )
    fixed = FixedSet(path)
    refuse_other_rate(path, fixed.sample_rate, sample_rate, key)
    check_some(fixed, trust=trust_pairs)
    return fixed


def refuse_other_rate(path: Path, rate: int, wanted: int, key: str) -> None:
    if rate != wanted:
        raise UserError(
            f"{key}: {path} has {rate} Hz but the student works at {wanted} Hz; "
            f"prepare the data with --sample-rate {wanted}."
        )


def with_recordings(recipe: Recipe, data: TrainingData, sample_rate: int) -> TrainingData:
    """With crops of the recordings without clean speech, if the recipe names any. Raises UserError."""
    data.recordings_a_batch = recipe.recordings_a_batch
    data.batch_size = recipe.optimiser.batch_size - data.recordings_a_batch
    if recipe.data.noisy is None or recipe.data.noisy_share == 0:
        return data
    if not data.recordings_a_batch:
        raise UserError(
            "data.noisy: a batch of one clip has no room for recordings; set optimiser.batch_size to 2 or "
            "more."
        )
    recordings = Recordings(recipe.data.noisy)
    for line in recordings.told():
        print(line)
    frames = len(data.dataset[0, 0]["noisy"])
    repeat = recipe.data.repeat_epochs or (1 if data.fixed_set is not None else None)
    length = data.batches * data.recordings_a_batch
    data.recordings = RecordingCrops(recordings, frames, sample_rate, length, recipe.seed, repeat)
    return data


def refuse_too_few(clips: int, recipe: Recipe, path: Path) -> None:
    needed = recipe.optimiser.batch_size - recipe.recordings_a_batch
    if clips < needed:
        raise UserError(
            f"data.train: {path} gives {clips} clips an epoch, fewer than one batch of "
            f"{needed}; lower optimiser.batch_size or add data."
        )
