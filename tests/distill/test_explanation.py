"""What DISPatch saw, printed and drawn."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sedistill.distill.bin_losses import MagnitudeL2
from sedistill.distill.dfkd import DFKDLoss
from sedistill.distill.dispatch import DISPatch
from sedistill.distill.explanation import Explanation
from sedistill.distill.patches import MultiScalePatches, UniformPatches


def signals(clips: int = 2) -> Tensor:
    return 0.1 * torch.randn(3, clips, 4_000, generator=torch.Generator().manual_seed(0))


def test_the_gap_of_a_bin_is_that_of_its_patch() -> None:
    seen = DISPatch(DFKDLoss(), MultiScalePatches(10, 40), 0.5).explain(*signals())
    assert seen.gap_per_bin.isfinite().all()
    for frame in range(3):
        for bin_ in (0, 100, 256):
            patch = seen.patch_ids[1, bin_, frame]
            assert seen.gap_per_bin[1, bin_, frame] == seen.gap[1, patch, frame]


def test_the_summary_by_hand() -> None:
    seen = Explanation(
        gap=torch.tensor([[[1.0], [-3.0], [torch.nan]], [[2.0], [5.0], [-1.0]]]),
        selected=torch.tensor([[[True], [False], [False]], [[False], [True], [False]]]),
        patch_ids=torch.tensor([[[0], [0], [1], [1]], [[0], [1], [2], [2]]]),
        crossover=torch.tensor([[1], [3]]),
        parts={"loss": torch.tensor([0.25, 0.75])},
    )
    assert str(seen) == repr(seen)
    assert str(seen).splitlines() == [
        "clips 2, bins 4, frames 1",
        "loss       0.5 (0.25 to 0.75 by clip)",
        "selected   40 % of the patches, 38 % of the bins",
        "gap        above 0, the teacher ahead, in 60 % of the patches; median 1",
        "crossover  bin 2 in the median frame, half of them 1.5 to 2.5",
    ]


def test_a_gate_by_hand() -> None:
    seen = Explanation(
        gap=torch.tensor([[[1.0], [-3.0], [2.0]]]),
        selected=torch.tensor([[[True], [False], [False]]]),
        patch_ids=torch.tensor([[[0], [0], [1], [2]]]),
        crossover=None,
        parts={"loss": torch.tensor([0.25])},
        gate=torch.tensor([[[0.5], [0.0], [1.0]]]),
    )
    assert str(seen).splitlines()[-1] == "gate       open in 67 % of the patches; mean weight 0.5"
    assert seen.weight_per_bin.flatten().tolist() == [0.5, 0.5, 0, 0]


def test_a_gate_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    noisy = signals()[0].flip(0)
    kd = DISPatch(MagnitudeL2(), keep=0.5, gate="teacher_over_noisy", gate_softness=0.5)
    seen = kd.explain(*signals(), noisy)
    _, veil, closed = seen.plot(clip=1).axes[0].collections
    weight = seen.weight_per_bin[1].double()
    torch.testing.assert_close(torch.tensor(veil.get_alpha()), 0.8 * (1 - weight))
    gray = torch.from_numpy(closed.get_alpha()) > 0
    assert torch.equal(gray, (seen.gate == 0).gather(1, seen.patch_ids)[1])

    def pixels(seen: Explanation) -> np.ndarray:
        seen.plot(clip=1).savefig(image := io.BytesIO(), format="rgba")
        return np.frombuffer(image.getvalue(), np.uint8)

    nearly = replace(seen, gate=seen.gate.clamp(min=1e-6))  # as pale, and none closed
    assert (pixels(seen) != pixels(nearly)).mean() > 0.05


def test_without_bands_there_is_no_word_of_a_crossover() -> None:
    assert "crossover" not in str(DISPatch(MagnitudeL2(), keep=0.5).explain(*signals()))


@pytest.mark.parametrize("patches", [UniformPatches(20), MultiScalePatches()], ids=str)
def test_it_is_drawn(patches: UniformPatches) -> None:
    pytest.importorskip("matplotlib")
    seen = DISPatch(MagnitudeL2(), patches, 0.5).explain(*signals())
    figure = seen.plot(clip=1)
    axes, bar = figure.axes
    gap, veil = axes.collections[:2]
    torch.testing.assert_close(torch.tensor(gap.get_array().data).reshape(seen.gap_per_bin[1].shape).float(),
                               seen.gap_per_bin[1])  # fmt: skip
    assert ((torch.tensor(veil.get_alpha()) == 0) == seen.selected_bins[1]).all()
    assert len(axes.lines) == (seen.crossover is not None)
    assert "the teacher is ahead" in bar.get_ylabel()
    figure.savefig(text := io.StringIO(), format="svg")
    assert re.search("<svg", text.getvalue())
    own = figure.add_subplot()
    assert seen.plot(axes=own) is figure
