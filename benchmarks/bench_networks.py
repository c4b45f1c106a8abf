"""Forward and training step of the networks on CPU: the library's against plain ones in benchmarks/plain/.

    python benchmarks/bench_networks.py                          # all, 2 s clips, batch 1 and 4
    python benchmarks/bench_networks.py --network gtcrn dptnet-dfkd-tiny --batch 1

A pair has the same weights, gets the same clips and must give the same outputs within 1e-4; the two take
turns within each round, and the ratio is taken within a round. Forward is in evaluation mode without
gradients; a step is forward and backward in training mode. Time is CPU time of the process.
Writes benchmarks/results/networks.csv.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from plain import plain_twin
from results_csv import RESULTS, write_results
from torch import Tensor, nn

from sedistill.common.devices import hardware
from sedistill.models.presets import build_model

NETWORKS: dict[str, str | Mapping[str, Any]] = {
    "manner-s-1.5gf": "manner-s-1.5gf",
    "manner-b, 24 channels": {"preset": "manner-b", "channels": 24},
    "dccrn-cl, a quarter of the teacher": {
        "preset": "dccrn-cl-dispatch-teacher", "channels": [16, 32, 64, 64, 128, 128], "lstm_units": 64,
    },
    "dptnet-dfkd-tiny": "dptnet-dfkd-tiny",
    "wave-u-net-12": "wave-u-net-12",
    "gtcrn": "gtcrn",
    "fastenhancer-t": {"preset": "fastenhancer-t", "attenuation_limit_db": None},  # the plain one has none
}  # fmt: skip
TOLERANCE = 1e-4


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.network:
        for batch in options.batch:
            for entry in compare(name, batch, options):
                rows.append(entry)
                print(
                    "  ".join(
                        f"{key}: {value}" for key, value in entry.items() if key not in ("torch", "cpu")
                    )
                )
    write_results(rows, RESULTS / "networks.csv")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def compare(name: str, batch: int, options: argparse.Namespace) -> list[dict[str, object]]:
    torch.manual_seed(0)
    model = build_model(NETWORKS[name])
    twin = plain_twin(model)
    clips = 0.05 * torch.randn(batch, int(options.seconds * model.sample_rate))
    check_equal(model, twin, clips)
    return [
        {
            "network": name,
            "clip_seconds": options.seconds,
            "batch": batch,
            "threads": options.threads,
            "what": what,
            **measured(model, twin, clips, run, options.rounds),
            "rounds": options.rounds,
            "torch": torch.__version__,
            "cpu": hardware(),
        }
        for what, run in (("forward", forward), ("training step", training_step))
    ]


@torch.no_grad()
def check_equal(model: nn.Module, twin: nn.Module, clips: Tensor) -> None:
    outputs = [network.eval()(clips) for network in (model, twin)]
    difference = (outputs[0] - outputs[1]).abs().max().item()
    assert difference < TOLERANCE, f"the plain {type(model).__name__} differs by {difference:.1e}"


def measured(
    model: nn.Module, twin: nn.Module, clips: Tensor, run: Callable[[nn.Module, Tensor], None], rounds: int
) -> dict[str, str]:
    seconds: dict[nn.Module, list[float]] = {model: [], twin: []}
    for number in range(rounds + 1):  # the first round warms up
        for network in (model, twin) if number % 2 else (twin, model):
            start = time.process_time()
            run(network, clips)
            if number:
                seconds[network].append(time.process_time() - start)
    ratios = [own / plain for own, plain in zip(seconds[model], seconds[twin], strict=True)]
    return {
        "cpu_seconds": f"{statistics.median(seconds[model]):.3f}",
        "plain_cpu_seconds": f"{statistics.median(seconds[twin]):.3f}",
        "library_over_plain": f"{statistics.median(ratios):.2f}",
        "range": f"{min(ratios):.2f}..{max(ratios):.2f}",
    }


@torch.no_grad()
def forward(network: nn.Module, clips: Tensor) -> None:
    network.eval()(clips)


def training_step(network: nn.Module, clips: Tensor) -> None:
    network.zero_grad()
    network.train()(clips).square().mean().backward()


if __name__ == "__main__":
    main()
