"""What is to be done beyond the network's own work, in one piece, checked once."""

from dataclasses import dataclass

from sedistill.common.errors import UserError
from sedistill.inference.enhancing.strength import remaining_share


@dataclass(frozen=True)
class Settings:
    """As in `sedistill.enhance`. Raises UserError for what does not go together."""

    correct_level: bool = True
    strength_db: float | None = None
    whole_band: bool = False

    def __post_init__(self) -> None:
        if self.whole_band and not self.correct_level:
            raise UserError(
                "the whole band joins what a network gave and what it did not hear, which needs both at one "
                "level and sign; leave the level correction on."
            )
        remaining_share(self.strength_db, self.correct_level)

    @property
    def noisy_share(self) -> float:
        """What is left of the noise by intention."""
        return remaining_share(self.strength_db)
