"""What labelling with DeepFilterNet3 costs beside its authors' library alone, in CPU time within one run.

    python benchmarks/labelling.py SET [--clips 24]

By hand: the C library, one open state, frames already at 48 kHz, and nothing else. Labelling: a recipe's kept
outputs, with opening the teacher, reading, resampling and writing, on all cores, whose time is added up.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
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
    hand, labelling = by_hand(clips), cpu_seconds(lambda: label(clips))
    for name, cpu in (("by hand", hand), ("labelling", labelling)):
        print(f"{name}: {cpu:.1f} s of CPU for {seconds:.0f} s, {seconds / cpu:.1f} times real time a core")
    print(f"labelling over by hand: {labelling / hand:.3f}")


def by_hand(clips: FixedSet) -> float:
    """CPU seconds of the library on all clips."""
    library, taken = Library(), 0.0
    for index in range(len(clips)):
        heard = resample(clips.noisy(index), clips.sample_rate, RATE)
        frames = np.ascontiguousarray(heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME))
        taken += cpu_seconds(lambda frames=frames: library.frames(frames))
    return taken


def label(clips: FixedSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        OutputCache(Path(folder), clips, open_teacher("deepfilternet", clips.sample_rate)).open()


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
