"""From an objective's settings in a recipe to the loss itself, and its name in the logs."""

from collections.abc import Sequence

from sedistill.distill import BIN_LOSSES
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.dfkd import FrequencyAdapter
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.patches import MultiScalePatches, UniformPatches
from sedistill.distill.waveform import SISNRTarget
from sedistill.training.recipe import ObjectiveSettings

Objective = DISPatch | SISNRTarget


def build_objective(settings: ObjectiveSettings) -> Objective:
    """The loss (student, teacher, clean: (B, T)) -> scalar that the settings describe."""
    if settings.loss == "si_snr":
        return SISNRTarget(target=settings.target)
    return DISPatch(
        _bin_loss(settings),
        patches=_patches(settings),
        keep=settings.keep,
        score=settings.score,
        target=settings.target,
        adapter=_adapter(settings) if settings.patches == "multi-scale" else None,
    )


def objective_names(objectives: Sequence[ObjectiveSettings]) -> list[str]:
    """Short, distinct names for logs, such as "dfkd+dispatch+mssp" or "l2>clean"."""
    names: list[str] = []
    for settings in objectives:
        name = _name(settings)
        names.append(name if name not in names else f"{name}#{len(names)}")
    return names


def _name(settings: ObjectiveSettings) -> str:
    name: str = settings.loss
    if settings.keep < 1:
        name += "+dispatch" if settings.score == "kgs" else f"+{settings.score}"
    if settings.patches == "multi-scale":
        name += "+mssp"
    return name if settings.target == "teacher" else f"{name}>clean"


def _bin_loss(settings: ObjectiveSettings) -> BinLoss:
    given = {key: getattr(settings, key) for key in ("power", "beta") if getattr(settings, key) is not None}
    if settings.loss == "dfkd":
        given["adapter"] = _adapter(settings)
    return BIN_LOSSES[settings.loss](**given)


def _adapter(settings: ObjectiveSettings) -> FrequencyAdapter:
    given = {key: getattr(settings, key) for key in ("scan", "swap_bands", "min_bin")}
    return FrequencyAdapter(**{key: value for key, value in given.items() if value is not None})


def _patches(settings: ObjectiveSettings) -> UniformPatches | MultiScalePatches:
    if settings.patches == "uniform":
        return UniformPatches(settings.patch_size or 20)
    return MultiScalePatches(settings.low_patch_size or 10, settings.high_patch_size or 40)
