"""Training step of Conv-TasNet on CPU: the library's against the same network from stock layers.

    python benchmarks/bench_convtasnet.py                        # DISPatch's student, 4 s clips
    python benchmarks/bench_convtasnet.py --preset convtasnet-tiny --seconds 2 --batch 8
    python benchmarks/bench_convtasnet.py --batch 16             # the papers' batch: takes 9 GB

Both networks have the same weights and get the same clips; the variants take turns within each round, and
ratios are taken within a round. Time is CPU time of the process. Writes benchmarks/results/convtasnet.csv.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from results_csv import RESULTS, write_results
from torch import Tensor, nn

from sedistill.common.devices import hardware
from sedistill.models.convtasnet import ConvTasNet
from sedistill.models.presets import build_model


class WrittenOutNorm(nn.Module):
    """Global layer norm as published code has it: the formula in whole-tensor operations."""

    def __init__(self, like: nn.GroupNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = like.weight, like.bias, like.eps

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2), keepdim=True)
        variance = ((x - mean) ** 2).mean(dim=(1, 2), keepdim=True)
        return self.weight[:, None] * (x - mean) / (variance + self.eps).sqrt() + self.bias[:, None]


class StockConvTasNet(nn.Module):
    """Conv-TasNet from PyTorch's own layers, with the weights of the library's `model`."""

    def __init__(self, model: ConvTasNet, fused_norm: bool) -> None:
        super().__init__()
        self.norm: Callable[[nn.Module], nn.Module] = (lambda norm: norm) if fused_norm else WrittenOutNorm
        self.hop, self.length = model.encoder.hop, 2 * model.encoder.hop
        self.relu = model.encoder.relu
        self.analysis, self.synthesis = model.encoder.analysis, model.decoder.synthesis
        self.encode = nn.Sequential(*[stock_layer(layer) for layer in model.encoder.deep])
        self.decode = nn.Sequential(*[stock_layer(layer) for layer in model.decoder.deep])
        global_norm = isinstance(model.frame_norm, nn.GroupNorm)
        self.frame_norm = self.norm(model.frame_norm) if global_norm else model.frame_norm
        separator = model.separator
        self.adds_residual = separator.adds_residual
        self.bottleneck, self.mask = stock_layer(separator.bottleneck), stock_layer(separator.mask)
        self.prelu, self.activation = stock_layer(separator.prelu), model.mask_activation
        self.bodies, self.residuals, self.skips = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for block in separator.blocks:
            norms = {2: self.norm(block.body[2]), 5: self.norm(block.body[5])}
            inner = [norms.get(i) or stock_layer(layer) for i, layer in enumerate(block.body[:6])]
            self.bodies.append(nn.Sequential(*inner))
            residual, skip = block.widths
            self.residuals.append(part_of(block.body[6], 0, residual))
            self.skips.append(part_of(block.body[6], residual, residual + skip))

    def forward(self, noisy: Tensor) -> Tensor:
        halves = max(2, -(-noisy.shape[1] // self.hop))
        padded = nn.functional.pad(noisy, (0, halves * self.hop - noisy.shape[1]))
        frames = self.analysis(padded[:, None])
        frames = self.encode(torch.relu(frames) if self.relu else frames)
        x = self.bottleneck(self.frame_norm(frames))
        skips: Tensor | int = 0
        for body, residual, skip in zip(self.bodies, self.residuals, self.skips, strict=True):
            hidden = body(x)
            skips = skips + skip(hidden) if not isinstance(skip, nn.Identity) else skips
            x = x + residual(hidden) if not isinstance(residual, nn.Identity) else x
        seen = skips + x if self.adds_residual else skips
        mask = self.activation(self.mask(self.prelu(seen)))
        return self.synthesis(self.decode(mask * frames))[:, 0, : noisy.shape[1]]


def stock_layer(layer: nn.Module) -> nn.Module:
    """The class of torch.nn that `layer` derives from, sharing its parameters."""
    if type(layer).__module__.startswith("torch.nn"):
        return layer
    stock = type(layer).__mro__[1].__new__(type(layer).__mro__[1])
    stock.__dict__.update(layer.__dict__)
    return stock


def part_of(convolution: nn.Conv1d, start: int, stop: int) -> nn.Module:
    """A 1x1 convolution of its own with some of the outputs; Identity for none."""
    if start == stop:
        return nn.Identity()
    part = nn.Conv1d(convolution.in_channels, stop - start, 1).to(convolution.weight.dtype)
    part.weight.data.copy_(convolution.weight.data[start:stop])
    part.bias.data.copy_(convolution.bias.data[start:stop])
    return part


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    rows = [row for batch in options.batch for row in compare(options, batch)]
    write_results(rows, RESULTS / "convtasnet.csv")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="convtasnet-dispatch-student")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def compare(options: argparse.Namespace, batch: int) -> list[dict[str, object]]:
    torch.manual_seed(0)
    model = build_model(options.preset)
    assert isinstance(model, ConvTasNet)
    variants = {
        "library": model,
        "stock layers, norm as GroupNorm": StockConvTasNet(model, fused_norm=True),
        "stock layers, norm written out": StockConvTasNet(model, fused_norm=False),
    }
    clips = 0.05 * torch.randn(batch, int(options.seconds * 16_000))
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for timed in [False] + [True] * options.rounds:
        for name, network in variants.items():
            taken = training_step_seconds(network, clips)
            if timed:
                seconds[name].append(taken)
    rows = [row(options, batch, name, seconds) for name in variants]
    for entry in rows:
        print("  ".join(f"{key}: {value}" for key, value in entry.items() if key not in ("torch", "cpu")))
    return rows


def training_step_seconds(network: nn.Module, clips: Tensor) -> float:
    network.zero_grad()
    start = time.process_time()
    network(clips).square().mean().backward()
    return time.process_time() - start


def row(
    options: argparse.Namespace, batch: int, name: str, seconds: dict[str, list[float]]
) -> dict[str, object]:
    ratios = [own / stock for own, stock in zip(seconds["library"], seconds[name], strict=True)]
    return {
        "preset": options.preset,
        "clip_seconds": options.seconds,
        "batch": batch,
        "threads": options.threads,
        "variant": name,
        "cpu_seconds": f"{statistics.median(seconds[name]):.3f}",
        "library_over_this": f"{statistics.median(ratios):.2f}",
        "range": f"{min(ratios):.2f}..{max(ratios):.2f}",
        "rounds": options.rounds,
        "torch": torch.__version__,
        "cpu": hardware(),
    }


if __name__ == "__main__":
    main()
