"""What is the same in all processes of a training: what they begin with, and the weights ever after."""

import hashlib
from typing import Any

from torch import nn

from sedistill.common import ranks
from sedistill.common.errors import UserError
from sedistill.training.inputs import PreparedRun
from sedistill.training.not_finite import tensors_in


def run_facts(run: PreparedRun) -> dict[str, Any]:
    """What a recipe names, as this process has found it."""
    if ranks.count() == 1:
        return {}
    return {
        "kind of device": run.device.type,
        "data.train": run.data.hash,
        "data.valid": run.valid_set.hash,
        "data.noisy": run.data.recordings.hash if run.data.recordings else "",
        "student": _checksum(run.student.state_dict()),
        **{name: teacher.hash for name, teacher in run.teachers.items()},
    }


def refuse_drift(network: nn.Module, what_else_learns: Any, step: int) -> None:
    """Raise UserError where the weights in another process are no longer, bit by bit, those of the first.

    They are computed alike everywhere; a faulty GPU or memory, or GPUs of several kinds, may differ.
    """
    if ranks.count() == 1:
        return
    sums = ranks.gathered(_checksum([network.state_dict(), what_else_learns]))
    others = [str(rank) for rank, checksum in enumerate(sums) if checksum != sums[0]]
    if others:
        raise UserError(
            f"after step {step} process {', '.join(others)} of {len(sums)} has other weights than process 0: "
            "a device computes wrongly, or otherwise than the rest; nothing since the last checkpoint was "
            "saved, and the same command goes on from there, best without that machine."
        )


def _checksum(state: Any) -> str:
    digest = hashlib.sha256()
    for _, value in tensors_in(state):
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
