"""What has to be the same in all processes of a training, compared before anything is begun."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import sedistill
from sedistill.common import ranks
from sedistill.common.errors import UserError
from sedistill.training.inputs import PreparedRun
from sedistill.training.run_folder.config import differing_keys


def refuse_differing(facts: Mapping[str, Any]) -> None:
    """Raise UserError where another process has other facts, naming the first that differs."""
    of_all = ranks.gathered(dict(facts))
    for number, of_one in enumerate(of_all):
        for name, value in of_all[0].items():
            if of_one[name] == value:
                continue
            keys = differing_keys(value, of_one[name]) if isinstance(value, dict) else []
            what = f"{name} ({', '.join(keys[:4])})" if keys else name
            raise UserError(
                f"process {number} has another {what} than process 0; start all of them with the same "
                "command, the same program and the same data."
            )


def program_facts() -> dict[str, str]:
    """What computes: this program, by its version and its source, and torch."""
    if ranks.count() == 1:
        return {}
    digest = hashlib.sha256()
    folder = Path(sedistill.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return {
        "version of sedistill": sedistill.__version__,
        "source of sedistill": digest.hexdigest(),
        "version of torch": torch.__version__,
    }


def run_facts(run: PreparedRun) -> dict[str, Any]:
    """What a recipe names, as this process has found it."""
    if ranks.count() == 1:
        return {}
    weights = hashlib.sha256()
    for value in run.student.state_dict().values():
        weights.update(value.detach().cpu().contiguous().numpy().tobytes())
    return {
        "kind of device": run.device.type,
        "data.train": run.data.hash,
        "data.valid": run.valid_set.hash,
        "data.noisy": run.data.recordings.hash if run.data.recordings else "",
        "student": weights.hexdigest(),
        **{name: teacher.hash for name, teacher in run.teachers.items()},
    }
