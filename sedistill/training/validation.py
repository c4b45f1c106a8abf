"""A metric of the validation set as a run's criterion, computed as `sedistill evaluate` computes it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from sedistill.data.fixed_sets import FixedSet
from sedistill.errors import UserError
from sedistill.evaluation.evaluate import NOISY_SYSTEM, System, in_parallel, score_clip
from sedistill.evaluation.quality import metrics_named
from sedistill.evaluation.scores import ClipScore
from sedistill.evaluation.scoring import ScoringProcess


@dataclass(frozen=True)
class ValidationMetric:
    """The mean of a metric over the clips of a set, each enhanced whole and scored in processes of their own.

    The output is scored as the network gives it: what factor brings it onto clean speech is measured when the
    training is over.

    workers: clips in the works at a time; the mean does not depend on it.

    Raises UserError for a metric that is unknown or whose package is not installed.
    """

    name: str
    pairs: FixedSet
    workers: int

    def __post_init__(self) -> None:
        metrics_named([self.name])

    def refuse_undefined(self) -> None:
        """Raises UserError where not even the noisy sound of any clip has a score."""
        process, reason = ScoringProcess(), "no reason known"
        try:
            for index in range(len(self.pairs)):
                row = score_clip(NOISY_SYSTEM, self.pairs, index, [self.name], process)
                if np.isfinite(row.values[self.name]):
                    return
                reason = row.reasons.get(self.name, reason)
        finally:
            process.stop()
        raise UserError(
            f"optimiser.best_by: {self.name} is undefined on every clip of {self.pairs.folder} ({reason}); "
            "choose loss or another metric."
        )

    def mean(self, network: nn.Module, interrupted: Callable[[], bool]) -> float:
        """The mean over the clips on which the metric is defined, NaN where it is on none.

        `network` is in eval mode. Raises KeyboardInterrupt as soon as `interrupted()` is true.
        """
        system = System(self.name, network, {}, correct_level=False)

        def score(index: int, process: ScoringProcess) -> ClipScore:
            if interrupted():
                raise KeyboardInterrupt
            return score_clip(system, self.pairs, index, [self.name], process)

        rows = in_parallel(score, len(self.pairs), self.workers, f"validation: {self.name}")
        values = np.array([row.values[self.name] for row in rows])
        defined = values[np.isfinite(values)]
        return float(defined.mean()) if len(defined) else math.nan
