"""The student through torch.compile: in training alone, and without the parts that compile for hours."""

import time
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from sedistill.common.errors import UserError
from sedistill.models.eval_mode import keeping_buffers
from sedistill.models.fast_enhancer import Block
from sedistill.models.layers.synced_norm import SyncedBatchNorm

LEFT_OUT: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.RNNBase, "forward"),  # of a recurrence a compiler writes out every step
    (Block, "recurrent"),
    (SyncedBatchNorm, "forward"),  # talks to other processes
)
"""Methods of modules that run as they are, between compiled parts."""


class Compiled(nn.Module):
    """A student, compiled where it is in training mode; whoever only looks at it gets it as it is.

    So validation, the search for what is not finite and the like need no compilation of their own.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        for module in student.modules():
            for kind, method in LEFT_OUT:
                if isinstance(module, kind):
                    module.__class__ = _leaving_out(type(module), method)
        self.student = student
        self.in_training = cast(Callable[[Tensor], Tensor], torch.compile(student))

    def forward(self, noisy: Tensor) -> Tensor:
        """(B, T) to (B, T)."""
        return self.in_training(noisy) if self.student.training else self.student(noisy)


def _leaving_out(kind: type[nn.Module], method: str) -> type[nn.Module]:
    """The same class, but for a method that is not compiled; copies of its modules remain their own."""
    return type(kind.__name__, (kind,), {method: torch.compiler.disable(getattr(kind, method))})


def compile_now(student: nn.Module, losses: Callable[[], Tensor]) -> None:
    """Compute the losses of a step and their gradients, so that what cannot be compiled is refused first.

    Nothing of the student is changed. Raises UserError with what the compiler said.
    """
    print("compiling the student, which may take minutes", flush=True)
    started = time.monotonic()
    try:
        with keeping_buffers(student), torch.random.fork_rng():
            student.train()
            losses().backward()
    except RuntimeError as error:
        cause = getattr(error, "inner_exception", error)  # torch's own say where in the compiler it was
        said = str(cause).strip().splitlines() or [""]
        raise UserError(
            f"hardware.compile: torch.compile failed ({type(cause).__name__}: {said[0]}); take it out, or "
            "install what it needs, on a CPU a C++ compiler."
        ) from None
    finally:
        student.zero_grad(set_to_none=True)
    print(f"compiled in {time.monotonic() - started:.0f} s", flush=True)


def uncompiled() -> Any:
    """Inside, compiled networks run as they are: their backward pass can be taken once only."""
    return torch.compiler.set_stance("force_eager")
