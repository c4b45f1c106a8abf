"""`sedistill models`: at once, readable at any width, and with the numbers of the networks themselves."""

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from sedistill.models import catalogue
from sedistill.models.catalogue import catalogue_json, print_catalogue, read_catalogue
from sedistill.models.presets import PRESETS
from sedistill.models.print_presets import entries


def printed(width: int) -> str:
    file = io.StringIO()
    print_catalogue(Console(file=file, width=width))
    return file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.slow
def test_the_file_holds_what_the_networks_have() -> None:
    assert read_catalogue() == json.loads(json.dumps(list(entries())))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_and_figures_stay_whole(width: int) -> None:
    text = printed(width)
    for name in PRESETS:
        assert name in text
    for figure in ("9,706,679", "19.23 G", "9.71 M", "8.05 G", "15.33 G", "128 ms", "whole clip", "36,029"):
        assert figure in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_it_begins_with_what_to_choose() -> None:
    text = printed(100)
    assert text.startswith("What to choose")
    assert text.index("enhance") < text.index("Presets")


def test_miscounted_figures_have_their_note() -> None:
    line = next(line for line in printed(140).splitlines() if line.startswith("dccrn-cl-dispatch-teacher"))
    assert "DCCRN" in line
    assert line.rstrip().endswith("15.33 G [2]")
    assert "[2] The paper's MACs count each strided transposed convolution twice." in printed(140)


def test_json_says_the_same() -> None:
    told = json.loads(catalogue_json())
    assert [one["preset"] for one in told["presets"]] == list(PRESETS)
    assert [one["name"] for one in told["ready_made"]] == catalogue.ready_made_names()


def test_at_once_because_torch_is_not_loaded() -> None:
    script = (
        "import sys, sedistill.cli, sedistill.models.catalogue as c; c.print_catalogue(); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    assert done.returncode == 0


@pytest.mark.skipif(not catalogue.ready_made_names(), reason="this tree holds no ready-made weights")
def test_scores_of_ready_made_networks_stay_whole_at_80_columns() -> None:
    text = printed(80)
    assert "…" not in text
    for one in catalogue.ready_made():
        assert one["name"] in text
        for scores in one["scores"].values():
            assert f"→{scores['si_sdr']['enhanced']:.1f}" in text
