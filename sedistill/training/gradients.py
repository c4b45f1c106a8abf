"""The gradient of a step: taken, clipped, and that of one term held against the other's.

Several processes average it here, by hand: a wrapper of the network (DistributedDataParallel) sees what
`backward` leaves behind, but some methods take several gradients a step by `autograd.grad`, features are
tapped inside of the network, and what an objective learns along is outside of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sedistill.common import ranks

# What a step logs of its gradient.
NORM = "gradient/norm"
KD_OVER_SE = "gradient/kd_over_se"
COSINE = "gradient/cosine"


def clip_gradients(parameters: Sequence[nn.Parameter], clip_norm: float | None) -> dict[str, Tensor]:
    """Scale the gradients down to a common L2 norm of `clip_norm`; None leaves them as they are.

    Returns what to log: their norm before, and, where there is a limit, whether it was passed (1 or 0).
    """
    if clip_norm is None:
        return {NORM: nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])}
    norm = nn.utils.clip_grad_norm_(parameters, clip_norm)
    return {NORM: norm, "gradient/clipped_share": (norm > clip_norm).float()}


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


def average_gradients(*gradients: Sequence[Tensor], network: nn.Module) -> None:
    """Make gradients, of the mean over a process's clips each, those of the mean over all clips, in place.

    With them goes what the network's batch norms remember, so that it is one in all processes.
    """
    ranks.average([one for several in gradients for one in several] + remembered_by(network))


def average_what_backward_left(parameters: Sequence[nn.Parameter], network: nn.Module) -> None:
    """The same of the gradients in `parameters`; one that no process has stays None."""
    if ranks.count() == 1:
        return
    reached = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    average_gradients(grads, [reached], network=network)
    for parameter, grad, share in zip(parameters, grads, reached.tolist(), strict=True):
        parameter.grad = grad if share else None


def remembered_by(network: nn.Module) -> list[Tensor]:
    """The running means and variances of batch norms."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    kept = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var)]
    return [buffer for buffer in kept if buffer is not None]


def gradient_balance(se_grads: Sequence[Tensor], kd_grads: Sequence[Tensor]) -> dict[str, Tensor]:
    """Norm ratio KD/SE and cosine of the two gradients over all parameters; nothing where SE has none."""
    se_norm = torch.nn.utils.get_total_norm(list(se_grads))
    if se_norm == 0:  # as of a batch of noise alone
        return {}
    kd_norm = torch.nn.utils.get_total_norm(list(kd_grads))
    inner = torch.stack([(a * b).sum() for a, b in zip(se_grads, kd_grads, strict=True)]).sum()
    tiny = torch.finfo(se_norm.dtype).tiny
    return {
        KD_OVER_SE: (kd_norm / se_norm.clamp(min=tiny)).clamp(max=torch.finfo(se_norm.dtype).max),
        COSINE: inner / (se_norm * kd_norm).clamp(min=tiny),
    }
