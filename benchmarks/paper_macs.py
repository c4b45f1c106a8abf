"""Multiply-adds of the papers' networks: true ones, and what the counters behind the printed figures say.

    python -m pip install --no-deps --target runs/counters/thop thop==0.1.1-2209072238
    python -m pip install --no-deps --target runs/counters/ptflops-0.7 ptflops==0.7
    python -m pip install --no-deps --target runs/counters/ptflops-0.7.5 ptflops==0.7.5
    python benchmarks/paper_macs.py -o docs/results/sizes.md

The counters are no dependencies: each lies in a folder of its own below --counters, so that two versions of
one can be used in turn. They see modules only, so they count the plain networks in benchmarks/plain/, which
give the library's outputs. Which counter and length a paper used is inferred from its numbers; no paper says
it. Half a minute on one core. Writes benchmarks/results/paper-macs.csv too.
"""

import argparse
import importlib
import importlib.metadata
import platform
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from plain import NOT_OF_PLAIN, PlainConvTasNet, plain_twin
from results_csv import RESULTS, write_results
from torch import nn

from sedistill.common.report.document import TextTable
from sedistill.common.report.markdown import markdown_table
from sedistill.models.base import SpeechEnhancer
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.presets import build_model


@dataclass(frozen=True)
class Counter:
    """A counter in one version; `folder` is its place below --counters."""

    package: str
    version: str
    folder: str
    name: str

    @property
    def installation(self) -> str:
        return f"python -m pip install --no-deps --target {{}}/{self.folder} {self.package}=={self.version}"


THOP = Counter("thop", "0.1.1-2209072238", "thop", "thop 0.1.1")
OLD_PTFLOPS = Counter("ptflops", "0.7", "ptflops-0.7", "ptflops 0.7.0")
NEW_PTFLOPS = Counter("ptflops", "0.7.5", "ptflops-0.7.5", "ptflops 0.7.5")
COUNTERS = (THOP, OLD_PTFLOPS, NEW_PTFLOPS)


@dataclass(frozen=True)
class Case:
    """A network of a paper. `printed`: its figure in G as the paper has it, "" where it has none.

    `factor` 2: the multiply-adds, rounded to 0.01 G, times two. `published`: counted in the form of the
    public code, see PlainConvTasNet.
    """

    label: str
    preset: str
    printed: str = ""
    counter: Counter | None = None
    samples: int = 0
    factor: int = 1
    published: bool = False


# The public code of DCCRN makes 63 frames of 16,000 samples, without the rest; the library 64, with it.
SAMPLES_OF_63_FRAMES = 15_872
ONE_SECOND, TWO_SECONDS, FOUR_SECONDS = 16_000, 32_000, 64_000

CASES: dict[str, list[Case]] = {
    "DISPatch (2025), Table I": [
        Case("ConvTasNet (teacher)", "convtasnet-dispatch-teacher", "8.05", THOP, ONE_SECOND, published=True),
        Case("ConvTasNet (student)", "convtasnet-dispatch-student", "0.57", THOP, ONE_SECOND, published=True),
        Case("DCCRN-CL (teacher)", "dccrn-cl-dispatch-teacher", "15.33", THOP, SAMPLES_OF_63_FRAMES),
        Case("DCCRN-CL (student)", "dccrn-cl-dispatch-student", "3.84", THOP, SAMPLES_OF_63_FRAMES),
    ],
    "DFKD (2025), Table I": [
        Case("DCCRN-CL (teacher)", "dccrn-cl-dfkd-teacher", "13.47", NEW_PTFLOPS, SAMPLES_OF_63_FRAMES),
        Case("DCCRN-CL (small), own widths", "dccrn-cl-dfkd-small", "7.45"),
        Case("DCCRN-CL (tiny), own widths", "dccrn-cl-dfkd-tiny", "3.33"),
        Case("ConvTasNet (teacher)", "convtasnet-dfkd-teacher", "19.67", THOP, TWO_SECONDS),
        Case("ConvTasNet (small)", "convtasnet-dfkd-small", "10.11", THOP, TWO_SECONDS),
        Case("ConvTasNet (tiny)", "convtasnet-dfkd-tiny", "5.33", THOP, TWO_SECONDS),
        Case("DPTNet (teacher)", "dptnet-dfkd-teacher", "11.73", THOP, ONE_SECOND),
        Case("DPTNet (small)", "dptnet-dfkd-small", "6.63", THOP, ONE_SECOND),
        Case("DPTNet (tiny)", "dptnet-dfkd-tiny", "2.97", THOP, ONE_SECOND),
    ],
    "MV-AT (2022), Tables 1 and 2": [
        Case("MANNER-B", "manner-b", "61.92", OLD_PTFLOPS, FOUR_SECONDS, factor=2),
        Case("MANNER-S", "manner-s", "38.34", OLD_PTFLOPS, FOUR_SECONDS, factor=2),
        Case("MANNER-S-8.1GF", "manner-s-8.1gf", "8.14", OLD_PTFLOPS, FOUR_SECONDS, factor=2),
        Case("MANNER-S-5.3GF", "manner-s-5.3gf", "5.32", OLD_PTFLOPS, FOUR_SECONDS, factor=2),
        Case("MANNER-S-1.5GF", "manner-s-1.5gf", "1.46", OLD_PTFLOPS, FOUR_SECONDS, factor=2),
    ],
    "KDRL (2023), Table 2": [
        Case("Wave-U-Net 100 %", "wave-u-net-100"),
        Case("Wave-U-Net 75 %", "wave-u-net-75"),
        Case("Wave-U-Net 50 %", "wave-u-net-50"),
        Case("Wave-U-Net 25 %", "wave-u-net-25"),
        Case("Wave-U-Net 12 %", "wave-u-net-12"),
    ],
}

SUMMARY = (
    "The papers print FLOPs or MAC/s that no honest count of their networks gives. Here are the true "
    "multiply-adds of one second of sound; beside them what a public counter, with its quirks, says of a "
    "clip of so many samples, times a factor, what would be true of that, and what the paper prints. The "
    "library itself prints true ones."
)
READING = (
    "true: convolutions, matrix products, attention and recurrent layers, as `sedistill models` has them; no "
    "norms, activations or Fourier transforms. Per second: of 16,000 samples; true of it: of the counter's "
    "samples, times the factor.",
    "counter, samples, factor: inferred from the printed numbers, as no paper names its tool. Difference: "
    "the counter's figure against the paper's; as printed: rounded to the paper's digits it is the paper's.",
    "DISPatch, ConvTasNet: counted in the form of the public code. thop looks a module's type up; most "
    "convolutions there are of a subclass of nn.Conv1d and count nothing, and the last transposed one counts "
    "as often as its stride. The skip convolutions are built but never called; in our network they work "
    "(without them it has 16.09 and 1.01 G).",
    "DISPatch, DCCRN-CL: thop counts every transposed convolution as often as its stride (2); ptflops 0.7.0 "
    "would give the same digits. 15,872 samples are 63 frames, as many as the public code makes of 16,000; "
    "the true column has the 64 of our network.",
    "DFKD, DCCRN-CL: ptflops 0.7.5 (PyTorch backend) counts transposed convolutions right, so it comes close "
    "to the true number. The layers are inferred from the parameters. A complex projection behind the LSTM, "
    "both layers on both parts, has no more parameters and would give 13.47; whether the paper has it is not "
    "known. Of small and tiny the layers cannot be told from what is printed: nothing to count, and what "
    "stands here is of our own widths.",
    "DFKD, ConvTasNet: the paper has parameters and FLOPs of this network in each other's column. They are "
    "of 2 s, or twice those of 1 s. One PReLU more over the 512 filters (0.002 G) would give all three; that "
    "is no proof of one.",
    "DFKD, DPTNet: no counter and length are known that give the paper's figures. thop over 1 s stands here "
    "for comparison only; it leaves all of the attention out.",
    "MV-AT: ptflops 0.7.0 counts transposed convolutions as often as their stride (4), biases, norms and "
    "ReLUs, but no attention products, which grow with the square of the length. Of a clip of 4 s, rounded "
    "to 0.01 G and only then doubled. By true cost MANNER-B is 2.8 times MANNER-S at that length and 2.1 "
    "times at 1 s, not 1.6 times. DEMUCS and TSTNN, which the paper quotes, are not here.",
    "KDRL prints no multiply-adds.",
)


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # the counters' own, about what PyTorch will drop
    require(options.counters)
    sections = {paper: [measured(case, options.counters) for case in cases] for paper, cases in CASES.items()}
    text = markdown(sections)
    print(text)
    write_csv(sections)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--counters", type=Path, default=Path("runs/counters"), metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown")
    return parser.parse_args()


def require(folder: Path) -> None:
    """Stop with what to type where a counter lacks or has another version."""
    lacking = [counter for counter in COUNTERS if installed_version(folder, counter) != counter.version]
    if lacking:
        lines = [f"    {counter.installation.format(folder)}" for counter in lacking]
        raise SystemExit("\n".join(["the counters are not there; type:", *lines]))


def installed_version(folder: Path, counter: Counter) -> str | None:
    found = importlib.metadata.distributions(name=counter.package, path=[str(folder / counter.folder)])
    return next((distribution.version for distribution in found), None)


def measured(case: Case, folder: Path) -> dict[str, object]:
    model = build_model(case.preset)
    row: dict[str, object] = {
        "network": case.label,
        "preset": case.preset,
        "parameters": parameters(model),
        "true_macs_per_second": true_macs(case.preset, ONE_SECOND),
        "printed_g": case.printed,
    }
    if case.counter is None:
        return row
    network = plain_network(model, case.published)
    assert parameters(network) == parameters(model)
    macs = counted(network, case.samples, case.counter, folder)
    says = macs / 1e9 if case.factor == 1 else case.factor * round(macs / 1e9, 2)
    digits = len(case.printed.partition(".")[2])
    return row | {
        "counter": case.counter.name,
        "samples": case.samples,
        "counted_macs": macs,
        "factor": case.factor,
        "says_g": f"{says:.4f}" if case.factor == 1 else f"{says:.2f}",
        "true_of_it_g": f"{case.factor * true_macs(case.preset, case.samples) / 1e9:.2f}",
        "difference_percent": f"{100 * (says / float(case.printed) - 1):+.2f}",
        "as_printed": "yes" if f"{says:.{digits}f}" == case.printed else "no",
    }


def true_macs(preset: str, samples: int) -> int:
    return macs_per_second(build_model({"preset": preset, "sample_rate": samples}))  # a second of so many


def plain_network(model: SpeechEnhancer, published: bool) -> nn.Module:
    if not published:
        return plain_twin(model).eval()
    settings = {k: value for k, value in model.settings.items() if k not in NOT_OF_PLAIN}
    return PlainConvTasNet(**settings, as_published=True).eval()


@torch.no_grad()
def counted(network: nn.Module, samples: int, counter: Counter, folder: Path) -> int:
    module = loaded(counter, folder)
    if counter is THOP:
        return int(module.profile(network, (torch.zeros(1, samples),), verbose=False)[0])
    return int(
        module.get_model_complexity_info(network, (samples,), as_strings=False, print_per_layer_stat=False)[0]
    )


def loaded(counter: Counter, folder: Path) -> ModuleType:
    """The package in this version, whichever was imported before."""
    for name in [name for name in sys.modules if name.partition(".")[0] == counter.package]:
        del sys.modules[name]
    sys.path.insert(0, str(folder / counter.folder))
    try:
        return importlib.import_module(counter.package)
    finally:
        sys.path.pop(0)


def markdown(sections: dict[str, list[dict[str, object]]]) -> str:
    parts = ["# Sizes: true multiply-adds, and the papers'", SUMMARY]
    for paper, rows in sections.items():
        parts += [f"## {paper}", markdown_table(table(rows))]
    parts += ["## How to read it", "\n".join(f"- {text}" for text in READING)]
    facts = (
        f"versions: {', '.join(f'{c.package} {c.version}' for c in COUNTERS)}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "command: python benchmarks/paper_macs.py -o docs/results/sizes.md (nothing is drawn or trained)",
    )
    return "\n\n".join([*parts, "## How this came about", "\n".join(f"- {fact}" for fact in facts)]) + "\n"


def table(rows: list[dict[str, object]]) -> TextTable:
    header = ["", "parameters, M", "true MAC/s, G", "counter", "samples", "factor", "it says, G"]
    header += ["true of it, G", "paper, G", "difference, %", "as printed"]
    return TextTable(header, [cells(row) for row in rows])


def cells(row: dict[str, object]) -> list[str]:
    samples = row.get("samples")
    return [
        str(row["network"]),
        f"{int(str(row['parameters'])) / 1e6:.3f}",
        f"{int(str(row['true_macs_per_second'])) / 1e9:.2f}",
        str(row.get("counter", "–")),
        f"{samples:,}" if samples else "–",
        str(row.get("factor", "–")),
        str(row.get("says_g", "–")),
        str(row.get("true_of_it_g", "–")),
        str(row["printed_g"] or "–"),
        str(row.get("difference_percent", "–")),
        str(row.get("as_printed", "–")),
    ]


def write_csv(sections: dict[str, list[dict[str, object]]]) -> None:
    rows = [{"paper": paper, **row} for paper, section in sections.items() for row in section]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_results([{**dict.fromkeys(columns, ""), **row} for row in rows], RESULTS / "paper-macs.csv")


if __name__ == "__main__":
    main()
