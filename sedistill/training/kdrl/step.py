"""One update of a student by KDRL (2023), and of the policy that chose its targets."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sedistill.common import ranks
from sedistill.distill.kdrl import loss_weights, reward
from sedistill.models.base import SpeechEnhancer
from sedistill.models.eval_mode import evaluating
from sedistill.training.enhancement_losses import mean_squared_error, si_snr
from sedistill.training.gradients import NORM, clip_gradients, gradient_balance
from sedistill.training.kdrl.kdrl_settings import DistanceName, KDRLSettings
from sedistill.training.kdrl.policy import Policy
from sedistill.training.kdrl.ratio_log import RatioLog
from sedistill.training.kdrl.reference import Reference
from sedistill.training.kdrl.shared_forward import Distance, SharedForward, ThreeGradients, clips_do_not_meet
from sedistill.training.not_finite import refuse_not_finite
from sedistill.training.schedule import Stage

DISTANCES: dict[DistanceName, Distance] = {
    "mse": lambda estimate, target: mean_squared_error(estimate, target, target),
    "si_snr": lambda estimate, target: si_snr(estimate, target, target),
}

SPLIT_FROM = 250_000  # parameters; below, the overhead of single clips outweighs the pass they save


class KDRLStep:
    """Student, references and policy, one batch at a time; a `Step` of the training loop.

    The policy sees the student's output and gives each clip a ratio; the student steps by its weighted loss,
    and two references step from the same weights by the teacher alone and by the clean speech alone. How
    close the three then come to the clean speech, in eval mode on the same batch, teaches the policy.
    Method "fixed" has one ratio for all clips and neither policy nor references.

    teacher: noisy (B, T) -> its estimate (B, T); not asked when batches bring "teacher" along. None with
        method "fixed" and a ratio of 0, which leaves the teacher out.
    epochs, steps: of the whole training, for the size of the policy's targets and its learning rate.
    precision: the autocast in which networks run; distances and the policy are in float32 at least.
    ratio_path: the file to which `log_clips` adds the ratios.
    pieces: in how many a batch passes through networks; the policy sees it whole.

    Raises UserError for a student whose own loss is no distance, unless the settings name one.
    """

    def __init__(
        self,
        student: SpeechEnhancer,
        optimiser: torch.optim.Optimizer,
        clip_norm: float | None,
        settings: KDRLSettings,
        teacher: Callable[[Tensor], Tensor] | None,
        epochs: int,
        steps: int,
        precision: torch.autocast,
        ratio_path: Path,
        seed: int,
        pieces: int = 1,
    ) -> None:
        self.pieces = pieces
        self.student, self.optimiser, self.clip_norm = student, optimiser, clip_norm
        self.settings, self.teacher, self.precision = settings, teacher, precision
        self.parameters = [p for p in student.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        distance = settings.distance_for(student.se_loss)
        self.distance = DISTANCES[distance]
        self.policy: Policy | None = None
        if settings.method != "fixed":
            floor = settings.floor_for(distance)
            self.policy = Policy(settings, epochs, steps, floor, self.device, seed)
            self.references = self._make_references()
        self.splits_clips = (
            self.device.type == "cpu"
            and clips_do_not_meet(student)
            and sum(p.numel() for p in self.parameters) >= SPLIT_FROM
        )
        self.steps_done = self.steps_before = 0
        self.ratio_path = ratio_path
        self.ratio_log: RatioLog | None = None
        self.clips, self.ratios = torch.empty(0), torch.empty(0)

    def __call__(self, batch: Mapping[str, Tensor], measure_balance: bool) -> dict[str, Tensor]:
        """Update the student (and the policy) by "noisy", "clean", "index" and perhaps "teacher"."""
        noisy, clean = batch["noisy"], batch["clean"]
        with self.precision:
            teacher = self._teacher_estimate(batch)
        forward = self._forward(noisy, clean, teacher)
        log = forward.means
        if self.policy is None or teacher is None:
            log |= self._step_by_fixed_ratio(forward, measure_balance)
        else:
            log |= self._step_by_policy(self.policy, forward, noisy, clean, teacher, measure_balance)
            self.clips = batch["index"]
        self.steps_done += 1
        return log

    def _forward(self, noisy: Tensor, clean: Tensor, teacher: Tensor | None) -> SharedForward:
        """A target of weight 0, with method fixed, is left out altogether."""
        return SharedForward(
            self.student, self.parameters, self.distance, self.precision, noisy,
            clean=None if self.settings.fixed_ratio == 1 else clean,
            teacher=teacher,
            split=self.splits_clips and self.policy is not None,
            pieces=self.pieces,
        )  # fmt: skip

    @torch.no_grad()
    def terms(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The distances on a batch, without a step."""
        with evaluating(self.student):
            with self.precision:
                teacher = self._teacher_estimate(batch)
            return self._forward(batch["noisy"], batch["clean"], teacher).means

    def _step_by_fixed_ratio(self, forward: SharedForward, measure_balance: bool) -> dict[str, Tensor]:
        ratio = forward.estimate.new_tensor(self.settings.fixed_ratio).expand(forward.batch)
        weights = loss_weights("A", ratio)
        if not measure_balance or self.settings.fixed_ratio in (0, 1):
            return self._step_student(forward.mixed_gradient(*weights), forward)
        found = forward.gradients(*weights)
        return gradient_balance(found.hard, found.soft) | self._step_student(found.mixed, forward)

    def _step_by_policy(
        self, policy: Policy, forward: SharedForward, noisy: Tensor, clean: Tensor, teacher: Tensor,
        measure_balance: bool,
    ) -> dict[str, Tensor]:  # fmt: skip
        ratios = policy.ratios(clean, teacher, forward.estimate)
        self.ratios = ratios.detach()
        found = forward.gradients(*loss_weights(self.settings.method, self.ratios))
        log = gradient_balance(found.hard, found.soft) if measure_balance else {}
        soft, hard = self._reference_distances(found, noisy, clean)
        log |= self._step_student(found.mixed, forward)
        own = self._distance_now(self.student, noisy, clean)

        rewards = reward(own, soft, hard)
        size = forward.hard if self.settings.delta_by == "before" else own
        loss = policy.learn(ratios, rewards, size, self.steps_done)
        return log | {
            "ratio/mean": self.ratios.mean(),
            "ratio/deviation": self.ratios.std(correction=0),
            "policy/loss": loss,
            "policy/reward": rewards.mean(),
            "policy/soft_wins": (rewards < 0).float().mean(),
            "policy/hard_wins": (rewards > 0).float().mean(),
        }

    def _reference_distances(self, found: ThreeGradients, noisy: Tensor, clean: Tensor) -> list[Tensor]:
        """Distances (B,) to the clean speech after the step by the soft target and by the hard one."""
        distances = []
        for reference, gradient in zip(self.references, (found.soft, found.hard), strict=True):
            reference.step(gradient, self.clip_norm)
            distances.append(self._distance_now(reference, noisy, clean))
        return distances

    def _step_student(self, gradient: list[Tensor], forward: SharedForward) -> dict[str, Tensor]:
        for parameter, part in zip(self.parameters, gradient, strict=True):
            parameter.grad = part
        log = clip_gradients(self.parameters, self.clip_norm)
        refuse_not_finite({**forward.means, "the gradient": log[NORM]})
        self.optimiser.step()
        return log

    def _distance_now(self, network: Callable[[Tensor], Tensor], noisy: Tensor, clean: Tensor) -> Tensor:
        pairs = zip(noisy.chunk(self.pieces), clean.chunk(self.pieces), strict=True)
        with evaluating(self.student), self.precision:
            return torch.cat([self.distance(network(one), truth) for one, truth in pairs])

    def _make_references(self) -> tuple[Reference, Reference]:
        """For the soft and the hard target; one serves both, in turn, unless moments are kept."""
        moments = self.settings.reference_optimiser
        first = Reference(self.student, self.optimiser, moments)
        return first, Reference(self.student, self.optimiser, moments) if moments == "own" else first

    @torch.no_grad()
    def _teacher_estimate(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        if self.teacher is None:
            return None
        if "teacher" in batch:
            return batch["teacher"]
        return torch.cat([self.teacher(piece) for piece in batch["noisy"].chunk(self.pieces)])

    def at(self, stage: Stage, share_done: float) -> None:
        """KDRL has one stage: its ratios are its schedule."""

    def log_clips(self, step: int) -> None:
        """Write the ratios of the latest batch, of all processes."""
        if self.policy is None:
            return
        clips, ratios = ranks.joined_rows(self.clips.cpu()), ranks.joined_rows(self.ratios.cpu())
        if not ranks.is_first():
            return
        if self.ratio_log is None:
            self.ratio_log = RatioLog(self.ratio_path, self.steps_before)
        self.ratio_log.write(step, clips, ratios)

    def state_dict(self) -> dict[str, Any]:
        """What there is besides the student and its optimiser."""
        if self.policy is None:
            return {}
        if self.ratio_log is not None:
            self.ratio_log.table.flush()  # what a checkpoint says was logged is on the disk before it
        references = [reference.state_dict() for reference in self.references]
        return {"steps": self.steps_done, "policy": self.policy.state_dict(), "references": references}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        if self.policy is None:
            return
        self.steps_done = self.steps_before = state["steps"]
        self.ratio_log = None  # opened anew, without rows of steps that are yet to be done
        self.policy.load_state_dict(state["policy"])
        for reference, kept in zip(self.references, state["references"], strict=True):
            reference.load_state_dict(kept)
