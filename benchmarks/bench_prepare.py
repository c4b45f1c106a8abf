"""What `sedistill prepare` costs by the number of files, without decoding them: seconds and peak memory.

    python benchmarks/bench_prepare.py [--clips 2000 200000] [--output FOLDER]

Makes trees of empty files (clean/SPEAKER/, noise/CLASS/, a thousand of each) and prepares each in a process
of its own, in which the check of a file is replaced by one that reads nothing and makes up what it found. All
else is as always: listing, processes, copies, splits, tables, the look into each file that is hashed.
"""

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results_csv import RESULTS, write_results

from sedistill.data import checking, preparation
from sedistill.data.file_checks import Finding, Job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[2_000, 200_000])
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        print(*prepared(options.prepare))
        return
    rows: list[dict[str, object]] = []
    for count in options.clips:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            told = subprocess.check_output([sys.executable, __file__, "--prepare", folder], text=True)
        seconds, megabytes = map(float, told.splitlines()[-1].split())
        rows += [
            {"what": f"CPU seconds of prepare without decoding, {count} clips", "value": seconds},
            {"what": f"peak MB gained by it, {count} clips", "value": megabytes},
        ]
    for row in rows:
        print(f"{row['value']:>9}  {row['what']}")
    write_results(rows, options.output / "prepare.csv")


def make(folder: Path, count: int) -> None:
    for kind in ("clean", "noise"):
        for group in range(1000):
            (folder / f"{kind}/group-{group:03d}").mkdir(parents=True)
    for number in range(count):
        kind, group = ("clean", "noise")[number % 2], f"group-{number // 2 % 1000:03d}"
        (folder / kind / group / f"recording-of-something-{number:08d}.flac").touch()


def prepared(folder: Path) -> tuple[float, float]:
    """CPU seconds of all processes, and by how much the peak memory of this one rose, in MB."""
    checking.check = made_up  # type: ignore[attr-defined]
    before, began = peak_megabytes(), cpu_seconds()
    preparation.prepare(folder / "corpus", clean=folder / "clean", noise=folder / "noise")
    return round(cpu_seconds() - began, 2), round(peak_megabytes() - before, 1)


def made_up(job: Job) -> tuple[Finding, ...]:
    """What the check of a sound file finds, made of its name alone."""
    digest = hashlib.sha256(Path(job.paths[0]).name.encode())
    frames = 64_000 + int.from_bytes(digest.digest()[:2], "big")
    return (
        Finding(
            seconds=frames / 16_000,
            sample_rate=16_000,
            channels=1,
            frames=frames,
            active_level_db=-30.0 - digest.digest()[2] / 30,
            peak=0.5,
            audio_sha256=digest.hexdigest(),
        ),
    )


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_seconds() -> float:
    used = time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
