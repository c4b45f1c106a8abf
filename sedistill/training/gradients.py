"""The gradient of a step: taken, clipped, and that of one term held against the other's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Sequence[nn.Parameter], clip_norm: float | None) -> dict[str, Tensor]:
    """Scale the gradients down to a common L2 norm of `clip_norm`; None leaves them as they are.

    Returns what to log: their norm before, and, where there is a limit, whether it was passed (1 or 0).
    """
    if clip_norm is None:
        return {"gradient/norm": nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])}
    norm = nn.utils.clip_grad_norm_(parameters, clip_norm)
    return {"gradient/norm": norm, "gradient/clipped_share": (norm > clip_norm).float()}


def gradients_of(
    loss: Tensor, parameters: Sequence[nn.Parameter], retain_graph: bool = False
) -> list[Tensor]:
    """The gradient of `loss` for every parameter; zeros where it does not reach.

    Each lies in memory as its parameter does, which `backward()` sees to, `autograd.grad` does not, and fused
    optimisers take for granted: they would pair values with the wrong weights.
    """
    grads = torch.autograd.grad(loss, parameters, retain_graph=retain_graph, allow_unused=True)
    return [
        torch.zeros_like(parameter) if grad is None else torch.empty_like(parameter).copy_(grad)
        for parameter, grad in zip(parameters, grads, strict=True)
    ]


def gradient_balance(se_grads: Sequence[Tensor], kd_grads: Sequence[Tensor]) -> dict[str, Tensor]:
    """Norm ratio KD/SE and cosine of the two gradients over all parameters."""
    se_norm = torch.nn.utils.get_total_norm(list(se_grads))
    kd_norm = torch.nn.utils.get_total_norm(list(kd_grads))
    inner = torch.stack([(a * b).sum() for a, b in zip(se_grads, kd_grads, strict=True)]).sum()
    tiny = torch.finfo(se_norm.dtype).tiny
    return {
        "gradient/kd_over_se": (kd_norm / se_norm.clamp(min=tiny)).clamp(max=torch.finfo(se_norm.dtype).max),
        "gradient/cosine": inner / (se_norm * kd_norm).clamp(min=tiny),
    }
