"""How shards are read."""

from pydantic import Field

from sedistill.common.paths import UserPath
from sedistill.common.settings import Settings


class ShardSettings(Settings):
    """How the shards of a corpus are read; for a corpus of files it does not matter."""

    cache: UserPath | None = None
    """A folder on this machine for what was read; null = none. Runs and processes may share one."""
    cache_gb: float = Field(20.0, ge=0.001, le=1_000_000)
    """What the cache may hold; what was not used for longest goes."""
    patience_seconds: float = Field(120.0, ge=0, le=86_400)
    """How long a shard that is missing, damaged or cannot be reached is tried again."""
    skip_missing: bool = False
    """Make another mixture in the place of one whose shard stays missing or damaged, instead of ending."""
