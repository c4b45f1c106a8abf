"""What the level at which objectives see the clips does to them: which bins are selected, how large L2 is.

    python benchmarks/kd_level.py STUDENT TEACHER SET [--clips 40] [--level -12] [--keep 0.8]

STUDENT, TEACHER: saved models; SET: a fixed set. Compared with clips as they are (`kd_level_db: null`). What
DISPatch selects by L1 or L2 does not hang on a level that a whole clip shares; DFKD adds phases, which know
no level, to squared amplitudes, which do.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sedistill import DFKDLoss, DISPatch, MagnitudeL2
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.saving import load_model
from sedistill.training.tasks import level_gain


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--level", type=float, default=-12.0)
    parser.add_argument("--keep", type=float, default=0.8)
    options = parser.parse_args()

    clips = FixedSet(options.set)
    networks = [load_model(options.student), load_model(options.teacher)]
    losses = {"L2": MagnitudeL2(), "DFKD": DFKDLoss()}
    returned: dict[str, list[float]] = {name: [] for name in losses}
    growth: dict[str, list[float]] = {name: [] for name in losses}
    for index in range(min(options.clips, len(clips))):
        noisy, clean = (torch.from_numpy(side)[None] for side in clips[index])
        with torch.no_grad():
            student, teacher = (network.output_gain * network(noisy) for network in networks)
        gain = level_gain(clean, options.level)
        for name, loss in losses.items():
            selected = [
                DISPatch(loss, keep=options.keep).explain(*waves).selected_bins
                for waves in ((student, teacher, clean), scaled(gain, student, teacher, clean))
            ]
            dropped = ~selected[0]
            returned[name].append(float((dropped & selected[1]).sum() / dropped.sum()))
            plain = DISPatch(loss, keep=1)
            growth[name].append(float(plain(*scaled(gain, student, teacher)) / plain(student, teacher)))
    print(f"{len(growth['L2'])} clips, keep {options.keep:g}, {options.level:g} dB against as recorded:")
    for name in losses:
        low, middle, high = np.quantile(returned[name], [0.25, 0.5, 0.75])
        print(
            f"  {name}: the loss grows by a factor of {np.median(growth[name]):.3g}; of the bins dropped as "
            f"recorded {middle:.1%} are kept ({low:.1%} to {high:.1%} in the middle half of the clips)"
        )


def scaled(gain: Tensor, *waves: Tensor) -> tuple[Tensor, ...]:
    return tuple(gain * wave for wave in waves)


if __name__ == "__main__":
    main()
