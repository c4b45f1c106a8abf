"""The table of presets reads well at any width, quickly."""

import io
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from sedistill.models import listing
from sedistill.models.base import SpeechEnhancer
from sedistill.models.complexity import macs_per_second
from sedistill.models.listing import print_presets
from sedistill.models.presets import PRESETS


@pytest.fixture(scope="module", autouse=True)
def counted_once() -> Iterator[None]:
    """Counting is the slow part; once for each preset is enough here."""
    counts: dict[str | None, int] = {}

    def count(model: SpeechEnhancer) -> int:
        if model.preset not in counts:
            counts[model.preset] = macs_per_second(model)
        return counts[model.preset]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "macs_per_second", count)
        yield


def printed(width: int) -> str:
    file = io.StringIO()
    print_presets(Console(file=file, width=width))
    return file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_and_figures_stay_whole(width: int) -> None:
    text = printed(width)
    for name in PRESETS:
        assert name in text
    for figure in ("9,706,679", "19.23 G", "9.71 M", "8.05 G", "15.33 G", "128 ms", "whole clip", "36,029"):
        assert figure in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_miscounted_figures_have_their_note() -> None:
    line = next(line for line in printed(140).splitlines() if line.startswith("dccrn-cl-dispatch-teacher"))
    assert "DCCRN" in line
    assert line.rstrip().endswith("15.33 G [2]")
    assert "[2] The paper's MACs count each strided transposed convolution twice." in printed(140)


def test_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "macs_per_second", macs_per_second)
    start = time.process_time()
    printed(140)
    assert time.process_time() - start < 10
