"""The table behind `sedistill models`."""

import torch
from rich.console import Console
from rich.table import Table

from sedistill.interruption import safe_moment
from sedistill.models.base import SpeechEnhancer
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.presets import PRESETS, Preset, build_model

HEADINGS = ("preset", "network", "parameters", "MAC/s", "causal", "latency", "paper prints")
NO_BREAK = "\N{NO-BREAK SPACE}"
NARROW = 100  # columns of a terminal under which the network's column goes: the presets' names begin with it


def print_presets(console: Console | None = None) -> None:
    """Print every preset with its size, true cost, causality and latency, beside the paper's own figures."""
    console = console or Console()
    shown = [heading for heading in HEADINGS if heading != "network" or console.width >= NARROW]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in shown:
        numeric = heading in ("parameters", "MAC/s", "latency")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=heading != "paper prints")
    for name, preset in PRESETS.items():
        safe_moment()
        with torch.device("meta"):  # shapes are enough
            model = build_model(name)
        row = _row(name, preset, model)
        table.add_row(*(row[heading] for heading in shown))
    console.print(table)
    _print_notes(console)


def _row(name: str, preset: Preset, model: SpeechEnhancer) -> dict[str, str]:
    figures = [figure for figure in (preset.printed_parameters, preset.printed_macs) if figure] or ["-"]
    figures[-1] += f" [{_notes().index(preset.note) + 1}]" if preset.note else ""
    latency = model.latency_samples
    return {
        "preset": name,
        "network": preset.network,
        "parameters": f"{parameters(model):,}",
        "MAC/s": _giga(macs_per_second(model)),
        "causal": "yes" if model.causal else "no",
        "latency": "whole clip" if latency is None else f"{1000 * latency / model.sample_rate:.0f} ms",
        "paper prints": ", ".join(figure.replace(" ", NO_BREAK) for figure in figures),
    }


def _print_notes(console: Console) -> None:
    console.print()
    for number, note in enumerate(_notes(), 1):
        console.print(f"[{number}] {note}", markup=False, highlight=False)
    console.print(
        "MAC/s: multiply-accumulates of convolutions, matrix products and recurrent layers for one second "
        "of audio. Latency: how long after a sample its enhanced value is known, besides computing time.",
        highlight=False,
    )
    papers = sorted({preset.paper for preset in PRESETS.values() if preset.paper})
    console.print(f"Figures under 'paper prints' are those of {', '.join(papers)}.", highlight=False)


def _notes() -> list[str]:
    """The presets' notes, each once, in their order."""
    return list(dict.fromkeys(preset.note for preset in PRESETS.values() if preset.note))


def _giga(macs: int) -> str:
    return f"{macs / 1e9:.2f} G" if macs >= 1e9 else f"{macs / 1e6:.0f} M"
