"""Where what a benchmark measured is written: one table, a row a measurement."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def write_results(rows: Sequence[Mapping[str, object]], path: Path, note: str = "") -> None:
    """Write rows of the same columns, or some of the first one's; `note` is a comment above them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {note}\n" if note else "")
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"written to {path}")


def note_of(options: argparse.Namespace) -> str:
    """What was measured with, where it is a batch of clips."""
    return (
        f"torch {torch.__version__}, {options.threads} threads, batch {options.batch} x {options.seconds} s"
    )
