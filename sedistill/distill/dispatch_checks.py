"""Which settings of DISPatch do not go together."""

from typing import TYPE_CHECKING

from sedistill.common.errors import UserError
from sedistill.distill.keep_schedule import BY_TIME

if TYPE_CHECKING:
    from sedistill.distill.dispatch import DISPatch


def refuse_misfits(kd: "DISPatch") -> None:
    """Raise UserError for settings that exclude each other."""
    if kd.reduction == "bands" and kd.loss.adapter is None:
        raise UserError(f"reduction = 'bands' needs a loss of two bands such as DFKDLoss(), not {kd.loss!r}.")
    if kd.reduction == "bands" and kd.normalizer != "bins":
        raise UserError(f"normalizer = '{kd.normalizer}' goes with reduction = 'bins' alone.")
    if kd.gate_softness > 0 and kd.gate is None:
        raise UserError(f"gate_softness = {kd.gate_softness:g} belongs to a gate; name one or take it out.")
    if kd.per_band and not kd.patches.needs_crossover:
        raise UserError("per_band needs MultiScalePatches of two different sizes.")
    if kd.keep_start != 1 and kd.keep_schedule not in BY_TIME:
        raise UserError("keep_start belongs to keep_schedule = 'linear' or 'cosine'; take it out.")
    if kd.threshold is None and kd.threshold_unit != "score":
        raise UserError(f"threshold_unit = '{kd.threshold_unit}' belongs to a threshold; give one.")
    if kd.normalizer == "eq6" and (kd.threshold is not None or kd.keep_schedule == "positive_gaps"):
        raise UserError(
            "normalizer = 'eq6' divides by the share `keep`, which a threshold and keep_schedule = "
            "'positive_gaps' do not keep to; give another."
        )
    _refuse_too_few_bins(kd, kd.stft.bins)


def _refuse_too_few_bins(kd: "DISPatch", bins: int) -> None:
    if kd.patches.largest > bins:
        raise UserError(
            f"a patch of {kd.patches.largest} bins is larger than the spectrum; give at most {bins}."
        )
    adapter = kd.bands_by
    if adapter is not None and adapter.min_bin > bins - 2:
        raise UserError(f"min_bin = {adapter.min_bin} leaves no high band; give at most {bins - 2}.")
