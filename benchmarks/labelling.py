"""What labelling with DeepFilterNet3 costs over its C library alone, as a ratio of CPU time within one run.

    python benchmarks/labelling.py SET [--clips 24]

By hand: one open state, frames already at 48 kHz, and nothing else. Labelling: a recipe's kept outputs, with
reading, resampling, the processes' start and end, and writing, on all cores; its time is that of all
processes together. Both work in sessions of their own: on a busy machine those are given time by other rules.
"""

import argparse
import gc
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from deepfilternet_by_hand import FRAME, RATE, Library

from sedistill.audio.resampling import resample
from sedistill.data.fixed_sets import FixedSet
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.opening import open_teacher


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    options = parser.parse_args()
    clips = FixedSet(options.set).evenly(options.clips)
    seconds = float(clips.lengths.sum()) / clips.sample_rate
    with ProcessPoolExecutor(1, initializer=os.setsid) as pool:
        hand = pool.submit(by_hand, clips).result()
    began = _cpu_seconds()
    label(clips)
    taken = _cpu_seconds() - began
    for name, cpu in (("by hand", hand), ("labelling", taken)):
        print(f"{name}: {cpu:.1f} s of CPU for {seconds:.0f} s, {seconds / cpu:.1f} times real time a core")
    print(f"labelling over by hand: {taken / hand:.3f}")


def by_hand(clips: FixedSet) -> float:
    """CPU seconds of the library on all clips."""
    library, taken = Library(), 0.0
    for index in range(len(clips)):
        heard = resample(clips.noisy(index), clips.sample_rate, RATE)
        frames = np.ascontiguousarray(heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME))
        began = time.process_time()
        library.frames(frames)
        taken += time.process_time() - began
    return taken


def label(clips: FixedSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        OutputCache(Path(folder), clips, open_teacher("deepfilternet", clips.sample_rate)).open()
    gc.collect()  # the teacher's processes end with it


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


if __name__ == "__main__":
    main()
