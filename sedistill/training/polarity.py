"""A new student's polarity. Half of all fresh networks are born inverted, and SI-SNR lets them stay so."""

import torch

from sedistill.data.fixed_sets import FixedSet
from sedistill.models.base import SpeechEnhancer
from sedistill.models.eval_mode import keeping_buffers
from sedistill.teachers.level_factor import measure_level_factor

LOOKS = (0, 25, 50, 100, 200)
"""After these steps. Some networks lean nowhere at first and settle within some dozens of steps."""

CLIPS = 16


class Polarity:
    """Turns a student round where its output leans against the clean speech of the first validation clips.

    The last layer is negated, and with it the first moments of Adam, so that a loss blind to polarity sees
    the same training, bit for bit. Losses that look at phases see a student they can teach.
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
        """Look, and turn if need be, after this step; 0 is before the first. Whether it was turned."""
        if step not in LOOKS or not self._is_inverted():
            return False
        self._turn()
        print(f"step {step}: the new student's output was inverted; turned upright.", flush=True)
        return True

    def _is_inverted(self) -> bool:
        # As in training: normalised by the running means of nothing, a network often leans the other way.
        self.student.train()
        with torch.random.fork_rng(), keeping_buffers(self.student):
            return measure_level_factor(self.student, self.clips, str(self.device), clips=CLIPS).factor < 0

    def _turn(self) -> None:
        self.student.invert()
        for parameter in self.student.sign_parameters():
            if parameter in self.optimiser.state:
                self.optimiser.state[parameter]["exp_avg"].neg_()
