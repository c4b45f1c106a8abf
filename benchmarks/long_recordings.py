"""Peak memory of preparing, drawing from and mixing recordings of two hours.

    python benchmarks/long_recordings.py [--hours 2] [--output FOLDER]

One FLAC file of noise in syllables as speech and one of plain noise, some 0.5 GB each as samples. The rise of
this process's peak memory at each stage, in MB, behind the writing of them.
"""

import argparse
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results_csv import RESULTS, write_results

from sedistill.audio.files import write_blocks
from sedistill.data.examples import MixtureDataset
from sedistill.data.mixed_sets import mix
from sedistill.data.preparation import prepare

RATE, BLOCK_SECONDS = 16_000, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind in ("clean", "noise"):
            for split, hours in (("train", options.hours), ("valid", 0.02)):
                write_blocks(folder / kind / split / kind / "a.flac", sound(hours, kind == "clean"), RATE)
        before = peak_megabytes()
        for stage in ("prepare", "100 training draws", "20 clips of mix"):
            if stage == "prepare":
                prepare(folder / "corpus", clean=folder / "clean", noise=folder / "noise", workers=1)
            elif "draws" in stage:
                dataset = MixtureDataset(folder / "corpus")
                for index in range(100):
                    _ = dataset[divmod(index, len(dataset))]
            else:
                mix(folder / "corpus", folder / "set", split="train", count=20, workers=1)
            rows.append({"what": f"MB that the peak rises by: {stage}", "value": peak_megabytes() - before})
            before = peak_megabytes()
    for row in rows:
        print(f"{row['value']:>6.0f}  {row['what']}")
    write_results(rows, options.output / "long-recordings.csv")


def sound(hours: float, is_speech: bool) -> Iterator[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    syllables = np.clip(np.sin(2 * np.pi * 0.3 * np.arange(BLOCK_SECONDS * RATE) / RATE), 0, None)
    for _ in range(round(hours * 3600 / BLOCK_SECONDS)):
        block = 0.05 * rng.standard_normal(BLOCK_SECONDS * RATE)
        yield (block * syllables if is_speech else block).astype(np.float32)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
