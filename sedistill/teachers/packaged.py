"""A teacher of another package, whose code is run: installed or trusted (see `common.extensions`)."""

import re
from pathlib import Path
from typing import Any

from torch import nn

from sedistill.common.errors import UserError
from sedistill.common.extensions import find_part, names_a_part
from sedistill.models.ready_made import is_ready_made

FACTS = ("name", "hash", "sample_rate", "latency")
_HASH = re.compile(r"[\w.-]{8,}")


def is_packaged(named: Path | str) -> bool:
    """Whether a recipe's teacher is such a one: not a folder or a ready-made network."""
    name = str(named)
    if Path(name).exists() or is_ready_made(name):
        return False
    return names_a_part("teachers", name)


def packaged_teacher(named: Path | str) -> Any:
    """The `Teacher` of that name or path, made without arguments; frozen and in eval mode if it is a module.

    Raises UserError where there is none, its code is not trusted, or it does not say what a teacher has to.
    """
    no_own: dict[str, Any] = {}
    teacher = find_part("teachers", str(named), no_own, "teacher", callable)()
    lacking = [fact for fact in FACTS if not hasattr(teacher, fact)]
    if lacking or not callable(teacher):
        raise UserError(f"the teacher {named} has no {(lacking or ['__call__'])[0]}; see docs/extend.md.")
    if not _HASH.fullmatch(str(teacher.hash)):
        raise UserError(
            f"the teacher {named} has the hash '{teacher.hash}'; give 8 letters and digits or more, others "
            "whenever its output may be another."
        )
    if isinstance(teacher, nn.Module):
        teacher.eval().requires_grad_(False)
    return teacher
