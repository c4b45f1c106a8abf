"""The choice of patches: ranked, selected, and how far a gate leaves them open."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sedistill.distill.gates import RIVALS, gate_weight
from sedistill.distill.keep_schedule import BY_TIME, share_kept
from sedistill.distill.knowledge_gap import PatchErrors
from sedistill.distill.ranking import rank_patches
from sedistill.distill.selection import select_patches

if TYPE_CHECKING:
    from sedistill.distill.dispatch import DISPatch


@dataclass(frozen=True)
class Choice:
    """What was chosen in a batch, each (B, P, J).

    gap: the knowledge gap, where it was computed; selected: which patches count, bool; gate: by how much each
    may, None without a gate; keep: the share in force; unranked: clips with a patch that has no finite score,
    which no ranking would show, bool (B, 1, 1); disagreement: of several teachers, where it was computed.
    """

    gap: Tensor | None
    selected: Tensor
    gate: Tensor | None
    keep: float
    unranked: Tensor
    disagreement: Tensor | None


@torch.no_grad()
def choose_patches(kd: "DISPatch", errors: PatchErrors, share_done: float | None, explaining: bool) -> Choice:
    """The patches that count by the settings of `kd`."""
    patches, keep = errors.patches, share_kept(kd.keep_schedule, kd.keep_start, kd.keep, share_done)
    adaptive = kd.keep_schedule == "positive_gaps"
    gap = errors.gap if kd.score == "kgs" or adaptive or explaining else None
    score = rank_patches(kd.score, errors)
    positive = gap > 0 if adaptive and gap is not None else None

    def among(present: Tensor) -> Tensor:
        return select_patches(
            score, present, keep, kd.rank_over, positive, kd.threshold, kd.threshold_unit
        )  # fmt: skip

    if kd.per_band:
        selected = among(patches.present & patches.low) | among(patches.present & ~patches.low)
    else:
        selected = among(patches.present)
    unranked = ~score.isfinite()
    if positive is not None and gap is not None:
        unranked |= ~gap.isfinite()
    gate = _gate(kd, errors)
    if gate is not None:
        unranked |= gate.isnan()
        selected &= gate > 0
    disagreement = errors.disagreement if kd.score == "agreement" else None
    in_clips = (unranked & patches.present).any(dim=(1, 2))[:, None, None]
    return Choice(gap, selected, gate, keep, in_clips, disagreement)


def _gate(kd: "DISPatch", errors: PatchErrors) -> Tensor | None:
    """By how much each patch may count, (B, P, J); None without a gate."""
    if kd.gate is None:
        return None
    rivals = torch.stack([errors[rival] for rival in RIVALS[kd.gate]])
    return gate_weight(rivals, errors["teacher"], kd.gate_softness).amin(dim=0)


def rule_text(kd: "DISPatch", share_done: float | None = None) -> str:
    """Which patches count, in words, such as "the top 80 % of each clip's by kgs, where the gate is open".

    share_done: of the training, to say what share is kept by then.
    """
    whose = "each clip's" if kd.rank_over == "clip" else "the batch's"
    if kd.per_band:
        whose += " (of each band)"
    share = f"{100 * kd.keep:g} %"
    if kd.keep_schedule in BY_TIME:
        share = f"{100 * kd.keep_start:g} to {share} ({kd.keep_schedule})"
        if share_done is not None:
            now = share_kept(kd.keep_schedule, kd.keep_start, kd.keep, share_done)
            share = f"{100 * now:.3g} % ({share.replace(' (', ', ')}"
    if kd.keep_schedule == "positive_gaps":
        share = f"share with a gap above 0, at most {share},"
    text = f"all of {whose} patches"
    if kd.keep < 1 or kd.keep_schedule != "constant":
        text = f"the top {share} of {whose} patches by {kd.score}"
    if kd.threshold is not None:
        limit = f"{kd.threshold:g}"
        if kd.threshold_unit == "deviations":
            limit = f"its mean + {kd.threshold:g} standard deviations"
        text += f", with {kd.score} above {limit}"
    if kd.gate is not None:
        hard = "" if kd.gate_softness == 0 else f", in full from a relative gap of {kd.gate_softness:g}"
        text += f", gate {kd.gate}{hard}"
    return text
