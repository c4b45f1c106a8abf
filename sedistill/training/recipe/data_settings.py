"""What a recipe says of the sound."""

from pydantic import Field

from sedistill.common.paths import UserPath
from sedistill.common.settings import Settings
from sedistill.data.mixing import MixingSettings
from sedistill.data.shards.shard_settings import ShardSettings

MOST_MIXTURES = 10_000_000  # an epoch: more would be more than a year of sound


class DataSettings(Settings):
    """Where the sound comes from."""

    train: UserPath = Field(
        description="A prepared corpus (mixtures on the fly) or a set written by `sedistill mix` (fixed)."
    )
    valid: UserPath = Field(description="A fixed set: `sedistill mix CORPUS --split valid -o SET`.")
    mixing: MixingSettings = Field(MixingSettings(), description="For mixtures made on the fly.")
    shards: ShardSettings = Field(
        ShardSettings(), description="How the audio of a corpus in shards is read (docs/scaling.md)."
    )
    epoch_mixtures: int | None = Field(
        None,
        ge=1,
        le=MOST_MIXTURES,
        description="Mixtures an epoch on the fly; null = hours of clean speech / clip length, and of ready "
        "pairs every one once, cut elsewhere each epoch. Left out: 250 or 500 batches for less than "
        "1 or 10 hours of speech, else null.",
    )
    valid_clips: int | None = Field(
        None,
        ge=1,
        le=MOST_MIXTURES,
        description="Validate on so many clips of `valid`, taken evenly from first to last; null = on all. "
        "Left out: 40, 100 or 200 for less than 1, 10 or more hours of speech, so that a metric as "
        "best_by stays affordable.",
    )
    crop_seconds: float | None = Field(
        None,
        ge=0.1,
        le=600,
        description="Of a fixed set of whole sentences take crops of this length, new ones each epoch.",
    )
    trust_pairs: bool = Field(
        False,
        description="Train on ready pairs although they do not seem to fit (very noisy or reverberant ones); "
        "their number is printed.",
    )
    workers: int = Field(
        0, ge=0, le=128, description="Processes that prepare batches; 0 = the training process."
    )
    repeat_epochs: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Of mixtures made on the fly, and of crops, make those of so many epochs only, over and "
        "over in another order, and so of data.noisy; the teacher's outputs for them are computed once and "
        "kept. null = others in each epoch, and the teacher runs along; beside a fixed set, crops of "
        "data.noisy are those of one epoch.",
    )
    noisy: UserPath | None = Field(
        None,
        description="A folder of real noisy recordings without clean speech, of any format and rate. Crops "
        "of them join each batch, for the objectives that need no clean speech (docs/teachers.md).",
    )
    noisy_share: float = Field(
        0.25, ge=0, lt=1, description="Of each batch: crops of data.noisy, one at least; 0 = none."
    )
    segment_stride_seconds: float | None = Field(
        None,
        ge=0.01,
        le=600,
        description="Of ready pairs and of crops take, instead of one cut at random, all segments of that "
        "length that begin so far apart, each once an epoch, the last filled up with silence (MANNER: 1 s).",
    )
