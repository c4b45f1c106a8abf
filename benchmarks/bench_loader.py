"""What making mixtures costs beside reading their audio, and what a data worker costs in memory.

    python benchmarks/bench_loader.py [--data FOLDER] [--rounds 9] [--mixtures 150] [--output FOLDER]

Speed: CPU time of one process for mixtures of 4 s from FLAC files, against bare soundfile reads of exactly
the same segments. The two take turns; a ratio is formed within a round, its median is quoted. Files are in
the page cache. Memory: what a forked worker gains that has visited every clip of a small and a large corpus.
FOLDER holds clean/ and noise/ (also taken from SEDISTILL_DATA); without it, sounds are generated.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from results_csv import RESULTS, write_results

from sedistill.audio.files import write
from sedistill.data.clip_table import Clip
from sedistill.data.corpus import Corpus
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings, plan_mixture
from sedistill.data.preparation import prepare
from sedistill.data.rendering import Mixture, make_mixture

RATE = 16_000
Segment = tuple[Path, int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SEDISTILL_DATA"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mixtures", type=int, default=150)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(options.data) if options.data else generated_sounds(Path(temporary) / "sounds")
        prepare(Path(temporary) / "corpus", clean=data / "clean", noise=data / "noise")
        material = Material(Corpus.load(Path(temporary) / "corpus").split("train"))
        rows = [*speed(material, options.rounds, options.mixtures), *memory()]
    source = "real" if options.data else "generated"
    report([{**row, "data": source} for row in rows], options.output / f"loader-{source}.csv")


def generated_sounds(folder: Path) -> Path:
    """Forty recordings of 10 s each of shaped noise in syllables, and of plain noise."""
    rng = np.random.default_rng(0)
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * np.arange(10 * RATE) / RATE), 0, None)
    for number in range(40):
        steps = rng.standard_normal((2, 10 * RATE)) * 0.03
        voice, hiss = np.convolve(steps[0], np.ones(8) / 2, "same") * syllables, steps[1]
        write(folder / f"clean/{number}.flac", voice, RATE)
        write(folder / f"noise/{number}.flac", hiss, RATE)
    return folder


def speed(material: Material, rounds: int, mixtures: int) -> list[dict[str, object]]:
    settings = MixingSettings()
    segments = [segment for index in range(mixtures) for segment in segments_of(index, material, settings)]

    def mix() -> None:
        for index in range(mixtures):
            make_mixture(0, 0, index, material, settings)

    def read() -> None:
        for path, start, frames in segments:
            soundfile.read(path, start=start, frames=frames, dtype="float32")

    mix()
    read()
    pairs = [(cpu_seconds(mix), cpu_seconds(read)) for _ in range(rounds)]
    ratios = [bare / mixing for mixing, bare in pairs]
    per_second = mixtures / statistics.median(mixing for mixing, _ in pairs)
    return [
        row("mixture loader, rate over bare soundfile reads of the same segments", ratios, "at least 0.9"),
        row("4 s mixtures a CPU second", [per_second], ""),
    ]


def segments_of(index: int, material: Material, settings: MixingSettings) -> list[Segment]:
    """Where the audio of a mixture lies: its speech and each piece of its noise."""
    made: Mixture = make_mixture(0, 0, index, material, settings)
    pieces = [
        (material.speech, made.plan.speech),
        *((material.noise, piece) for piece in set(made.plan.noise)),
    ]
    return [
        (corpus.path(piece.clip), int(corpus.number("start", piece.clip)) + piece.start, piece.frames)
        for corpus, piece in pieces
    ]


def memory() -> list[dict[str, object]]:
    """Private memory, in MB, that a forked worker gains by drawing and by visiting every clip."""
    if not Path("/proc/self/smaps_rollup").exists():
        return []
    rows = []
    for clips in (2_000, 200_000):
        material = Material(made_up_corpus(clips))
        plan_mixture(0, 0, 0, material, MixingSettings())
        rows.append(
            row(f"private MB gained by a worker, {clips} clips", [worker_megabytes(material)], "flat")
        )
    return rows


def made_up_corpus(clips: int) -> Corpus:
    def clip(number: int) -> Clip:
        kind = ("clean", "noise")[number % 2]
        path = f"a/rather/long/folder/name/{kind}/{number:08d}.flac"
        facts = ("train", f"g{number % 1000}", 0, 160_000, -30.0, 0.5, 0.0, RATE, 1, "0" * 64)
        return Clip("root", path, kind, *facts)

    return Corpus.from_clips("made-up", map(clip, range(clips)), RATE, {"root": Path("/nowhere")})


def worker_megabytes(material: Material) -> float:
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        before = private_megabytes()
        for index in range(3_000):
            plan_mixture(0, 0, index, material, MixingSettings())
        for corpus in (material.speech, material.noise):
            for index in range(len(corpus)):
                corpus.path(index)
        os.write(write_end, str(private_megabytes() - before).encode())
        os._exit(0)
    os.wait()
    return float(os.read(read_end, 99))


def private_megabytes() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def cpu_seconds(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def row(what: str, values: list[float], wanted: str) -> dict[str, object]:
    return {
        "what": what,
        "median": round(statistics.median(values), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
        "n": len(values),
        "wanted": wanted,
    }


def report(rows: list[dict[str, object]], path: Path) -> None:
    for line in rows:
        print(f"{line['median']:>9}  [{line['lowest']} to {line['highest']}, n={line['n']}]  {line['what']}")
    write_results(rows, path)


if __name__ == "__main__":
    main()
