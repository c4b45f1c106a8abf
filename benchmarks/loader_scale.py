"""What training from shards asks of a network, from what one mixture costs here.

    python benchmarks/loader_scale.py --data FOLDER [--mixtures 300] [--steps-per-second 3] [--batch 64]

Writes the corpus of FOLDER (clean/, noise/; also SEDISTILL_DATA) as files and as shards, makes the same
mixtures of 4 s from both, counts what is asked of the shards, and takes CPU seconds of one process. Then, by
arithmetic: bytes and requests a second for GPUs that make so many steps, and what a cache spares of them.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from results_csv import RESULTS, write_results

from sedistill.data.corpus import Corpus
from sedistill.data.examples import MixtureDataset
from sedistill.data.preparation import prepare
from sedistill.data.shards.ranges import Ranges

HOURS, GPUS = 10_000, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SEDISTILL_DATA"))
    parser.add_argument("--mixtures", type=int, default=300)
    parser.add_argument("--steps-per-second", type=float, default=3.0, help="of a GPU")
    parser.add_argument("--batch", type=int, default=64, help="clips a GPU a step")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data FOLDER, or SEDISTILL_DATA")
    with tempfile.TemporaryDirectory() as temporary:
        folder, sounds = Path(temporary), {kind: Path(options.data) / kind for kind in ("clean", "noise")}
        prepare(folder / "files", **sounds)
        prepare(folder / "tables", **sounds, shards=str(folder / "shards"))
        asked = counted(folder / "tables", options.mixtures)
        seconds = {name: cpu_seconds(folder / name, options.mixtures) for name in ("files", "tables")}
        corpus = Corpus.load(folder / "files")
        stored = sum(os.path.getsize(path) for path in corpus.files().values())
        rows = measured(asked, seconds, stored, corpus.seconds / 3600, options)
    for row in rows:
        print(f"{row['value']:>12}  {row['what']}")
    write_results(rows, options.output / "loader-scale.csv")


def counted(folder: Path, mixtures: int) -> tuple[float, float]:
    """Requests and bytes a mixture, without a cache."""
    requests: list[int] = []
    read = Ranges._read_once

    def counting(self: Ranges, name: str, first: int, end: int, is_sound: object) -> bytes:
        requests.append(end - first)
        return read(self, name, first, end, is_sound)  # type: ignore[arg-type]

    Ranges._read_once = counting  # type: ignore[method-assign,assignment]
    try:
        make(MixtureDataset(folder), mixtures)
    finally:
        Ranges._read_once = read  # type: ignore[method-assign]
    return len(requests) / mixtures, sum(requests) / mixtures


def make(dataset: MixtureDataset, mixtures: int) -> None:
    for index in range(mixtures):
        _ = dataset[divmod(index, len(dataset))]


def cpu_seconds(folder: Path, mixtures: int) -> float:
    """Of a mixture; files and shards are in the page cache."""
    dataset = MixtureDataset(folder)
    make(dataset, mixtures)
    began = time.process_time()
    make(dataset, mixtures)
    return (time.process_time() - began) / mixtures


def measured(
    asked: tuple[float, float], seconds: dict[str, float], stored: int, hours: float,
    options: argparse.Namespace,
) -> list[dict[str, object]]:  # fmt: skip
    requests, size = asked
    clips = options.steps_per_second * options.batch
    hour_mb = stored / hours / 1e6
    total_gb = HOURS * hour_mb / 1e3
    rows: list[tuple[str, float]] = [
        ("requests a mixture (measured)", requests),
        ("kB read a mixture (measured)", size / 1e3),
        ("CPU ms a mixture from files (measured)", 1e3 * seconds["files"]),
        ("CPU ms a mixture from shards in a folder (measured)", 1e3 * seconds["tables"]),
        ("MB an hour of sound as stored (measured)", hour_mb),
        ("mixtures a GPU-second (assumed)", clips),
        ("requests a GPU-second, no cache", clips * requests),
        ("MB a GPU-second, no cache", clips * size / 1e6),
        ("cores a GPU to make them", clips * seconds["tables"]),
        (f"requests a second of {GPUS} GPUs, no cache", GPUS * clips * requests),
        (f"Gbit a second of {GPUS} GPUs, no cache", GPUS * clips * size * 8 / 1e9),
        (f"GB of {HOURS} hours", total_gb),
        (f"shards of 256 MiB of {HOURS} hours", total_gb * 1e9 / (256 * 2**20)),
        (f"Gbit a second of {GPUS} GPUs, a cache of 200 GB a machine of 8",
         GPUS * clips * size * 8 / 1e9 * max(0.0, 1 - 200 / total_gb)),
    ]  # fmt: skip
    return [{"what": what, "value": round(value, 3)} for what, value in rows]


if __name__ == "__main__":
    main()
