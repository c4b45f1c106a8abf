"""How much noise may be taken away at most: the enhanced signal mixed with the noisy one it was made of."""

from collections.abc import Iterable, Iterator
from numbers import Real

import numpy as np

from sedistill.audio.levels import db_to_gain
from sedistill.common.argument_checks import as_given
from sedistill.common.errors import UserError
from sedistill.inference.enhancing.chunks import Block

STRENGTH_WITHOUT_LEVEL = (
    "a strength mixes the enhanced signal with the noisy one, which needs both at one level and sign; "
    "leave the level correction on."
)


def remaining_share(strength_db: float | None, correct_level: bool = True) -> float:
    """a = 10^(-strength_db / 20), what is left of the noise; 0 for None, which is no limit.

    Raises UserError for what is no number of dB from 0 up, and for a limit without level correction.

    >>> remaining_share(20)
    0.1
    """
    if strength_db is None:
        return 0.0
    if not isinstance(strength_db, Real) or isinstance(strength_db, bool) or not strength_db >= 0:
        given = as_given(strength_db)
        raise UserError(f"strength_db = {given}: give dB from 0 up, by which noise may be lowered.")
    if not correct_level:
        raise UserError(STRENGTH_WITHOUT_LEVEL)
    return db_to_gain(-float(strength_db))


class Remembered:
    """Blocks (frames, channels) that came, kept until what was made of them follows."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def heard(self, block: Block) -> Block:
        """The same block, remembered."""
        self._blocks.append(block)
        return block

    def next(self, count: int) -> Block:
        """The next frames."""
        waiting = np.concatenate(self._blocks)
        self._blocks = [waiting[count:]]
        return waiting[:count]


class Mixture:
    """Enhanced blocks (frames, channels) mixed with the noisy ones that came some time before.

    output = a noisy + (1 - a) enhanced: where the network leaves the speech as it was and takes all noise
    away, the noise is lowered by exactly the strength and the speech is untouched. What is kept is as long
    as the network's delay.
    """

    def __init__(self, share: float) -> None:
        self.share = np.float32(share)
        self._noisy = Remembered()

    def heard(self, noisy: Block) -> Block:
        """The same block, remembered."""
        return self._noisy.heard(noisy) if self.share else noisy

    def hearing(self, blocks: Iterable[Block]) -> Iterator[Block]:
        return map(self.heard, blocks)

    def mixed(self, enhanced: Block) -> Block:
        """The next enhanced samples with as many of the noisy ones."""
        if not self.share or not len(enhanced):
            return enhanced
        noisy = self._noisy.next(len(enhanced))
        return noisy if self.share == 1 else self.share * noisy + (1 - self.share) * enhanced
