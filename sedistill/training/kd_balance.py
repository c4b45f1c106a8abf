"""How strongly the teacher pulls: the weight of distillation that keeps its gradient at a chosen length."""

import math

SMOOTHING = 0.1
"""Share of each measurement in the factor, once there were ten; before, their mean."""
FAR = 8.0
"""So many times too long, a gradient is more than the chance of its batch, and is shortened at once."""


def is_measured(step: int, every: int) -> bool:
    """Whether gradients are taken apart at this step: the first, each so many later, at first 2, 4, 8, ...

    A network's first steps change its gradients more than all that come after.
    """
    return (step - 1) % every == 0 or (step < every and step.bit_count() == 1)


class KDBalance:
    """A factor on kd_weight under which the terms of distillation have a gradient `ratio` times as long as
    that of the student's own loss.

    Losses differ by orders of magnitude in their size, and a weight found for one network, level or length of
    training is wrong for another; the length of the gradient is what a step feels. Both gradients are taken
    apart at the steps that measure them anyway (logging.gradients_every_steps), over the student's, and the
    factor follows the geometric mean of what they ask for. A gradient `FAR` too long begins that mean anew:
    it may spoil the student before ten more are measured. One that is too short does no harm; but so far too
    short right behind such a cut, it says that the cut was chance, which then is taken back, and no more.
    """

    def __init__(self, ratio: float) -> None:
        self.ratio, self.log_factor, self.measured = ratio, 0.0, 0
        self.cut = 0.0  # what the last measurement took away as far too much, as a logarithm

    @property
    def factor(self) -> float:
        return math.exp(self.log_factor)

    def follow(self, measured: float) -> float:
        """Learn from the ratio of the gradients' norms, KD over SE, that the factor now in force led to.

        Returns what the factor was multiplied by: 1 where nothing can be learnt, because a gradient is zero
        or not finite.
        """
        if not (math.isfinite(measured) and measured > 0):
            return 1.0
        wanted = math.log(self.ratio / measured)
        is_cut, is_chance = wanted < -math.log(FAR), bool(self.cut) and wanted > math.log(FAR)
        if is_chance:
            wanted = min(wanted, self.cut)
        self.cut = -wanted if is_cut and self.measured else 0.0
        self.measured = 1 if is_cut or is_chance else self.measured + 1
        change = max(1 / self.measured, SMOOTHING) * wanted
        self.log_factor += change
        return math.exp(change)

    def state_dict(self) -> dict[str, float | int]:
        return {"log_factor": self.log_factor, "measured": self.measured, "cut": self.cut}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        self.log_factor, self.measured = state["log_factor"], int(state["measured"])
        self.cut = state.get("cut", 0.0)  # checkpoints of before have none
