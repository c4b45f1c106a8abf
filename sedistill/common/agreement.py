"""What has to be the same in all processes that work together, compared before anything is begun."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sedistill
from sedistill.common import ranks
from sedistill.common.errors import UserError


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
    import torch

    digest = hashlib.sha256()
    folder = Path(sedistill.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return {
        "version of sedistill": sedistill.__version__,
        "source of sedistill": digest.hexdigest(),
        "version of torch": torch.__version__,
    }


def differing_keys(a: Any, b: Any, key: str = "") -> list[str]:
    """Where two settings differ, as keys such as "optimiser.learning_rate"."""
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted(a.keys() | b.keys())
        return [d for n in names for d in differing_keys(a.get(n), b.get(n), f"{key}.{n}".lstrip("."))]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [
            d for n, both in enumerate(zip(a, b, strict=True)) for d in differing_keys(*both, f"{key}.{n}")
        ]
    return [] if a == b else [key]
