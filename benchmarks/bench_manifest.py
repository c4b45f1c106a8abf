"""What opening a corpus for training costs by the number of its clips.

    python benchmarks/bench_manifest.py [--clips 2000 200000] [--output FOLDER]

Makes corpora of empty files, and opens each in a process of its own: CPU seconds and private memory, after
torch was imported.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch  # noqa: F401 - so that its import is not counted
from bench_loader import RATE, private_megabytes
from results_csv import RESULTS, write_results

from sedistill.data.clip_table import Clip
from sedistill.data.corpus import Corpus
from sedistill.data.examples import MixtureDataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[2_000, 200_000])
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        print(*opened(options.open))
        return
    rows: list[dict[str, object]] = []
    for count in options.clips:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            told = subprocess.check_output([sys.executable, __file__, "--open", folder], text=True)
        seconds, load_seconds, megabytes = map(float, told.splitlines()[-1].split())
        rows += [
            {"what": f"CPU seconds to read the manifest, {count} clips", "value": load_seconds},
            {"what": f"CPU seconds to open for training, {count} clips", "value": seconds},
            {"what": f"private MB gained by that, {count} clips", "value": megabytes},
        ]
    for row in rows:
        print(f"{row['value']:>9}  {row['what']}")
    write_results(rows, options.output / "manifest.csv")


def make(folder: Path, count: int) -> None:
    """A corpus of clips in a thousand groups."""
    for kind in ("clean", "noise"):
        for group in range(1000):
            (folder / f"audio/{kind}/group-{group:03d}").mkdir(parents=True)

    def clip(number: int) -> Clip:
        kind = ("clean", "noise")[number % 2]
        group = f"group-{number // 2 % 1000:03d}"
        path = f"{kind}/{group}/recording-{number:08d}.flac"
        (folder / "audio" / path).touch()
        facts = (
            group,
            0,
            64_000 + number % 1000,
            -30.0 - number % 100 / 7,
            0.5,
            0.0,
            RATE,
            1,
            f"{number:064x}",
        )
        return Clip("root", path, kind, "train", *facts)

    Corpus.from_clips(folder, map(clip, range(count)), RATE, {"root": Path("audio")}).save(folder)


def opened(folder: Path) -> tuple[float, float, float]:
    """Seconds for all, seconds for the manifest, megabytes."""
    before, began = private_megabytes(), time.process_time()
    corpus = Corpus.load(folder)
    loaded = time.process_time() - began
    kept = MixtureDataset(corpus)
    seconds = time.process_time() - began
    assert len(kept)
    return round(seconds, 3), round(loaded, 3), round(private_megabytes() - before, 1)


if __name__ == "__main__":
    main()
