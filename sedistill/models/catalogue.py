"""What `sedistill models` says: what to choose, the ready-made networks, and all that can be trained.

Sizes and costs stand in catalogue.json, which `python -m sedistill.models.print_presets` writes from the
networks themselves (a test holds them equal), so that nothing has to be built, and torch not loaded, to
show them.
"""

import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from sedistill.models.ready_made import CARD, FOLDER, ready_made_names

PLACE = Path(__file__).with_name("catalogue.json")
NO_BREAK = "\N{NO-BREAK SPACE}"
NARROW = 100  # columns of a terminal under which the network's column goes: the presets' names begin with it
SCORES = {"pesq_wb": ("WB-PESQ", 2), "stoi": ("STOI", 3), "si_sdr": ("SI-SDR", 1)}  # and digits
ADVICE = (
    ("to clean files now", "fastenhancer-b, ready-made: what `sedistill enhance` uses"),
    (
        "to train for a phone or an earbud",
        "fastenhancer-t: 22 k parameters, causal, 32 ms; -b where 93 k fit",
    ),
    ("to compare with the papers", "the preset that bears the paper's name"),
)


def read_catalogue() -> list[dict[str, Any]]:
    """Every preset: name, network, parameters, MACs a second, causality, latency, and the paper's figures."""
    return json.loads(PLACE.read_text(encoding="utf-8"))


def catalogue_json() -> str:
    """Ready-made networks and presets for programs."""
    return json.dumps({"ready_made": ready_made(), "presets": read_catalogue()}, indent=2, ensure_ascii=False)


def ready_made() -> list[dict[str, Any]]:
    """Of each network that comes with the package: its name, size, licences, and scores by set."""
    found = []
    for name in ready_made_names():
        card = yaml.safe_load((FOLDER / name / CARD).read_text(encoding="utf-8"))
        facts = {
            key: card[key] for key in ("parameters", "macs_per_second", "causal", "latency_ms", "licences")
        }
        found.append({"name": name, **facts, "scores": card["metrics"].get("scores", {})})
    return found


def print_catalogue(console: Console | None = None) -> None:
    """What to choose and why; ready-made networks with their scores; presets beside the papers' figures."""
    console = console or Console()
    advice = Table(box=None, pad_edge=False, show_header=False)
    for purpose, choice in ADVICE:
        advice.add_row(purpose, choice)
    console.print("[bold]What to choose[/bold]")
    console.print(advice)
    _print_ready_made(console)
    _print_presets(console)


def _print_ready_made(console: Console) -> None:
    networks = ready_made()
    if not networks:
        return
    console.print("\n[bold]Ready-made[/bold]: sedistill enhance noisy.wav -o clean.wav --model NAME")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "scored on", *(label for label, _ in SCORES.values())):
        table.add_column(
            heading, justify="left" if heading in ("name", "scored on") else "right", no_wrap=True
        )
    for one in networks:
        for number, (place, scores) in enumerate(one["scores"].items() or [("-", {})]):
            values = (_score(scores.get(key), digits) for key, (_, digits) in SCORES.items())
            table.add_row(one["name"] if number == 0 else "", place, *values)
    console.print(table)


def _score(values: dict[str, float] | None, digits: int) -> str:
    return "-" if values is None else f"{values['noisy']:.{digits}f}→{values['enhanced']:.{digits}f}"


def _print_presets(console: Console) -> None:
    presets = read_catalogue()
    notes = list(dict.fromkeys(one["note"] for one in presets if one["note"]))
    console.print("\n[bold]Presets[/bold], to be trained: `student: PRESET` in a recipe")
    table = Table(box=None, pad_edge=False, header_style="bold")
    rows = [_row(one, notes) for one in presets]
    shown = [heading for heading in rows[0] if heading != "network" or console.width >= NARROW]
    for heading in shown:
        numeric = heading in ("parameters", "MAC/s", "latency")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=heading != "paper prints")
    for row in rows:
        table.add_row(*(row[heading] for heading in shown))
    console.print(table)
    console.print()
    for number, note in enumerate(notes, 1):
        console.print(f"[{number}] {note}", markup=False, highlight=False)
    console.print(
        "MAC/s: multiply-accumulates of convolutions, matrix products and recurrent layers for one second "
        "of audio. Latency: how long after a sample its enhanced value is known, besides computing time.",
        highlight=False,
    )
    papers = sorted({one["paper"] for one in presets if one["paper"]})
    console.print(f"Figures under 'paper prints' are those of {', '.join(papers)}.", highlight=False)


def _row(preset: dict[str, Any], notes: list[str]) -> dict[str, str]:
    figures = [figure for figure in (preset["printed_parameters"], preset["printed_macs"]) if figure] or ["-"]
    figures[-1] += f" [{notes.index(preset['note']) + 1}]" if preset["note"] else ""
    latency, macs = preset["latency_ms"], preset["macs_per_second"]
    return {
        "preset": preset["preset"],
        "network": preset["network"],
        "parameters": f"{preset['parameters']:,}",
        "MAC/s": f"{macs / 1e9:.2f} G" if macs >= 1e9 else f"{macs / 1e6:.0f} M",
        "causal": "yes" if preset["causal"] else "no",
        "latency": "whole clip" if latency is None else f"{latency:.0f} ms",
        "paper prints": ", ".join(figure.replace(" ", NO_BREAK) for figure in figures),
    }
