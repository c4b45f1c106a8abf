"""A new student's polarity: half of all fresh networks give an inverted output, and SI-SNR ignores that."""

import torch

from sedistill.common import ranks
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.base import SpeechEnhancer
from sedistill.models.eval_mode import keeping_buffers
from sedistill.teachers.level_factor import measure_level_factor

LOOKS = (0, 25, 50, 100, 200)
"""After these steps. Of some networks the sign of the output is settled after some dozens of steps only."""

CLIPS = 16


class Polarity:
    """Inverts a student whose output correlates negatively with clean speech on the first validation clips.

    The last layer is negated, and with it the first moments of Adam, so that with a loss that ignores
    the sign of the waveform the training is the same, bit for bit. Others start from the sign of the speech.
    """

    def __init__(
        self,
        student: SpeechEnhancer,
        optimiser: torch.optim.Optimizer,
        clips: FixedSet,
        device: torch.device,
    ) -> None:
        self.student, self.optimiser = student, optimiser
        self.clips, self.device = clips, device

    def look(self, step: int) -> bool:
        """Invert a wrong sign after this step; 0 is before the first. Returns whether it did."""
        if step not in LOOKS or not ranks.gathered(self._is_inverted())[0]:
            return False
        self._turn()
        print(f"step {step}: the new student's output was inverted; its last layer was negated.", flush=True)
        return True

    def _is_inverted(self) -> bool:
        # As in training: with the initial running means of batch norms the sign is often another.
        self.student.train()
        with torch.random.fork_rng(), keeping_buffers(self.student):
            return measure_level_factor(self.student, self.clips, str(self.device), clips=CLIPS).factor < 0

    def _turn(self) -> None:
        self.student.invert()
        for parameter in self.student.sign_parameters():
            if parameter in self.optimiser.state:
                self.optimiser.state[parameter]["exp_avg"].neg_()
