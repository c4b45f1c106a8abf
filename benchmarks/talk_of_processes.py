"""How long processes take to average a gradient and to tell each other a flag, as they do at every step.

torchrun --nproc-per-node 2 benchmarks/talk_of_processes.py
"""

import time
from collections.abc import Callable

import torch

from sedistill.common import ranks
from sedistill.common.torchrun import joined

ROUNDS = 150
GRADIENTS = {"fastenhancer-t": (150, 147), "convtasnet-dispatch-student": (400, 3750)}
"""About so many parameters of so many weights each."""


def milliseconds(talk: Callable[[], object]) -> tuple[float, float]:
    """The least and the median; all begin together."""
    taken = []
    for _ in range(ROUNDS):
        ranks.any_says(False)
        started = time.perf_counter()
        talk()
        taken.append(1e3 * (time.perf_counter() - started))
    taken.sort()
    return taken[0], taken[ROUNDS // 2]


def main() -> None:
    torch.set_num_threads(1)
    with joined():
        for network, (count, size) in GRADIENTS.items():
            gradient = [torch.randn(size) for _ in range(count)]
            _tell(f"the gradient of {network}", lambda: ranks.average(gradient))  # noqa: B023
        _tell("two flags", lambda: ranks.any_says(False, False))


def _tell(what: str, talk: Callable[[], object]) -> None:
    least, median = milliseconds(talk)
    print(f"{what}: {least:.2f} ms at least, {median:.2f} in the median", flush=True)


if __name__ == "__main__":
    main()
