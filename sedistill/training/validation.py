"""What decides which weights of a run are the best: its loss, or a metric, over the validation set."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sedistill.common import ranks
from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.data.workers import Batches
from sedistill.evaluation.clip_scoring import in_parallel, score_clip
from sedistill.evaluation.metric_process import ScoringProcess
from sedistill.evaluation.metrics import metrics_named
from sedistill.evaluation.scores import ClipScore, Statistic
from sedistill.evaluation.systems import NOISY_SYSTEM, System
from sedistill.training.enhancement_losses import loss_text
from sedistill.training.not_finite import NotFiniteError, broken_clips


@dataclass(frozen=True)
class Score:
    """What a validation found: the mean loss over the clips, and of the metric (None: the loss decides)."""

    loss: float = math.inf
    metric: float | None = None

    def is_better_than(self, best: "Score") -> bool:
        """Whether it is; of equal ones the first stays, and what is not finite is never better."""
        if self.metric is None:
            return self.loss < best.loss
        known = -math.inf if best.metric is None else best.metric
        return math.isfinite(self.loss) and math.isfinite(self.metric) and self.metric > known


@dataclass
class Validation:
    """Measures a network on the clips of the validation set; what it learnt of batches stays as it is.

    Several processes share the clips, and all of them find the same.

    clip_losses: a batch on the device -> the enhancement loss of every clip, (B,).
    loss_name: in `ENHANCEMENT_LOSSES`.
    metric: what decides; None: the loss.
    """

    network: nn.Module
    clip_losses: Callable[[Mapping[str, Tensor]], Tensor]
    loss_name: str
    batches: Batches
    device: torch.device
    metric: "ValidationMetric | None" = None

    def measure(self, pause: Callable[[], None], interrupted: Callable[[], bool]) -> Score:
        """Loss and metric of the network as it is. `pause` is called between batches, and may raise.

        Raises NotFiniteError naming the first clip whose loss is not finite.
        """
        self.network.eval()
        try:
            return Score(self._loss(pause), self._metric(pause, interrupted))
        finally:
            self.network.train()

    def values(self, score: Score) -> dict[str, float]:
        """What to log."""
        values = {"valid/se": score.loss}
        if self.metric is not None and score.metric is not None:
            values[f"valid/{self.metric.name}"] = score.metric
        return values

    def text(self, score: Score, best: Score) -> str:
        """What to tell, such as "validation loss 0.0650 (fast_enhancer), best 0.0640"."""
        loss = f"validation loss {loss_text(self.loss_name, score.loss)}"
        if self.metric is None or score.metric is None:
            return f"{loss}, best {best.loss:#.4g}"
        known = "none so far" if best.metric is None else f"best {best.metric:#.4g}"
        return f"validation {self.metric.name} {score.metric:#.4g} ({known}), {loss}"

    @torch.no_grad()
    def _loss(self, pause: Callable[[], None]) -> float:
        total = self.batches.batch_sampler.total  # type: ignore[union-attr]
        own, values, fault = iter(self.batches), [], None
        for _ in range(-(-total // ranks.count())):
            pause()
            batch = next(own, None)
            if batch is None or fault is not None:
                continue
            losses = self.clip_losses({name: value.to(self.device) for name, value in batch.items()})
            values.append(losses.double().cpu())
            fault = self._fault_of(batch, values[-1])
        with ranks.failing_together(NotFiniteError):
            if fault is not None:
                raise fault
        return float(torch.cat(ranks.in_turn(ranks.gathered(values))).mean())

    def _fault_of(self, batch: Mapping[str, Tensor], losses: Tensor) -> NotFiniteError | None:
        for number in broken_clips(losses):
            clip = self.batches.examples.origin(int(batch["index"][number]))  # type: ignore[attr-defined]
            return NotFiniteError(
                f"the validation loss, without which there is no student, first for {clip},"
            )
        return None

    def _metric(self, pause: Callable[[], None], interrupted: Callable[[], bool]) -> float | None:
        if self.metric is None:
            return None
        try:
            return self.metric.mean(self.network, interrupted)
        except KeyboardInterrupt:
            pause()  # the epoch's steps are done and saved; it is validated on resuming
            raise


@dataclass(frozen=True)
class ValidationMetric:
    """The mean of a metric over the clips of a set, computed as `sedistill evaluate` computes it.

    Each is enhanced whole and scored in processes of their own.
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

        `network` is in eval mode. Raises KeyboardInterrupt as soon as `interrupted()` is true in a process.
        """
        system = System(self.name, network, {}, correct_level=False)

        def score(index: int, process: ScoringProcess) -> ClipScore:
            if interrupted():
                raise KeyboardInterrupt
            return score_clip(system, self.pairs, own[index], [self.name], process)

        own, found = ranks.own_share(len(self.pairs)), None
        try:
            rows = in_parallel(score, len(own), self.workers, f"validation: {self.name}")
            found = [row.values[self.name] for row in rows]
        except KeyboardInterrupt:
            if ranks.count() == 1:
                raise
        of_all = [values for values in ranks.gathered(found) if values is not None]
        if len(of_all) < ranks.count():
            raise KeyboardInterrupt
        return Statistic.over(ranks.in_turn(of_all)).mean
