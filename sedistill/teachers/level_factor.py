"""A network's best factor onto clean speech: its level, and its sign."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet

LEVEL_WARNING = 0.10  # a factor further than this from 1, or a negative one, is worth a word


@dataclass(frozen=True)
class LevelFactor:
    """A network's best factor onto clean speech, over the clips of a set.

    For one clip it is <estimate, clean> / <estimate, estimate>, both without their means, which minimizes
    |factor * estimate - clean|^2 around its mean. `factor` is the median over clips, `low` and `high` are the
    5 % and 95 % quantiles.
    """

    factor: float
    low: float
    high: float


def level_warning(factor: float) -> str | None:
    """A sentence when a network's level or sign is off, else None."""
    if factor < 0:
        return (
            f"the network's output is inverted (best factor onto clean {factor:.2f}); "
            "the factor is kept in its card and applied."
        )
    if abs(factor - 1) > LEVEL_WARNING:
        loudness = "loud" if factor < 1 else "quiet"
        return (
            f"the network's output is {1 / factor:.2f} times the clean level, too {loudness} "
            f"(best factor {factor:.2f}); the factor is kept in its card and applied."
        )
    return None


def level_factors(estimate: Tensor, clean: Tensor) -> Tensor:
    """The best factor of every clip, (B, T) and (B, T) -> (B,); NaN where the estimate is silent.

    Raises ValueError for waveforms that are not finite, which would pass for silent ones.
    """
    if not (estimate.isfinite().all() and clean.isfinite().all()):
        raise ValueError("the estimate or the clean speech is not finite")
    estimate, clean = estimate.double(), clean.double()
    sound, speech = (side - side.mean(dim=1, keepdim=True) for side in (estimate, clean))
    energy = sound.square().sum(dim=1)
    rounding = 1e-24 * estimate.square().sum(dim=1)  # what is left of a constant
    return torch.where(energy > rounding, (sound * speech).sum(dim=1) / energy, torch.nan)


def summarize_factors(factors: Tensor) -> LevelFactor:
    """Median and spread over clips; a network that is silent everywhere has factor 1."""
    known = factors[factors.isfinite() & (factors != 0)]  # 0 where the clean speech is silent
    if len(known) == 0:
        return LevelFactor(1.0, 1.0, 1.0)
    quantiles = torch.quantile(known, torch.tensor([0.5, 0.05, 0.95], dtype=known.dtype))
    return LevelFactor(*(float(q) for q in quantiles))


@torch.no_grad()
def measure_level_factor(
    network: nn.Module, dataset: FixedSet, device: str, clips: int | None = None
) -> LevelFactor:
    """The factor of `network`, in its mode, onto clean speech over the first `clips` of a set, or all.

    Raises UserError for a network that gives NaN or infinite samples.
    """
    factors = []
    for index in range(min(clips or len(dataset), len(dataset))):
        noisy, clean = (torch.from_numpy(side)[None] for side in dataset[index])
        estimate = network(noisy.to(device)).float().cpu()
        if not estimate.isfinite().all():
            clip = dataset.folder / "noisy" / dataset.name(index)
            raise UserError(
                f"the network gives NaN or infinite samples for {clip}; "
                "its weights are damaged or its training diverged."
            )
        factors.append(level_factors(estimate, clean))
    return summarize_factors(torch.cat(factors))
