"""Names of models, runs, sets and clips in figures: drawn as they are, whatever matplotlib makes of them."""

import os
import re
import warnings
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sedistill.analyzing.crossover_figure import CrossoverFigure, crossover_svg
from sedistill.analyzing.patch_figures import ShareMap, share_map_svg
from sedistill.common.reading import shown
from sedistill.common.report.figures import Curve, CurveFigure, curves_svg
from sedistill.common.report.ratios import RatioFigure, ratios_svg
from sedistill.common.report.side_by_side import ClipPanel, side_by_side_svg
from sedistill.evaluation.comparing.forest import ForestFigure, ForestRow, forest_svg

LEVELS = np.zeros((3, 4))
NAMES = [
    "a$b$c", "$", "$$", "a\\$b$", r"$\frac{1}$", r"\alpha_1^2", "_baseline", "__", "x_y^z", "50%", "{x:g}",
    "<b>&amp;", "a\nb", os.fsdecode(b"caf\xe9"), "\u8a9e\u97f3",
]  # fmt: skip


def curves(name: str) -> str:
    return curves_svg(CurveFigure(name, name, [Curve(name, "alone", [1, 2], [3, 4])], x_label=name))


def forest(name: str) -> str:
    return forest_svg(ForestFigure(name, name, [ForestRow(name, 1.0, (0.5, 1.5), (np.nan, np.nan), [1.0])]))


FIGURES: dict[str, tuple[Callable[[str], str], int]] = {
    "curves": (curves, 3),
    "forest": (forest, 2),
    "crossover": (
        lambda name: crossover_svg(CrossoverFigure(name, LEVELS, 30.0, 0.01, {name: np.ones(4)})),
        2,
    ),
    "side by side": (lambda name: side_by_side_svg(name, [ClipPanel(name, np.zeros(800), LEVELS)], 8000), 1),
    "shares": (lambda name: share_map_svg(ShareMap(name, name, LEVELS, 30.0, 0.01)), 1),
    "ratios": (lambda name: ratios_svg(RatioFigure(name, *(np.array([1, 2]) for _ in range(3)))), 0),
}


def texts(svg: str) -> list[str]:
    """Every text of a figure; what it is called goes first."""
    root = ElementTree.fromstring(svg.replace("xlink:", "").replace("<svg", "<svg ", 1))
    found = ["".join(one.itertext()) for one in root.iter() if one.tag.endswith("text")]
    return [root.attrib["aria-label"], *(text.replace("\u200b", "") for text in found)]


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_drawn_as_it_is(figure: str, name: str) -> None:
    draw, times = FIGURES[figure]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = texts(draw(name))
    assert said[0] == shown(name)
    assert said[1:].count(shown(name)) >= times, said


@settings(max_examples=8, deadline=None)
@given(st.text("ab$_^\\{}%#&~ ", min_size=1, max_size=12).filter(lambda name: name == name.strip()))
@example("a\\$b")
def test_any_name_is_drawn_as_it_is(name: str) -> None:
    assert [re.sub(" +", " ", one) for one in texts(curves(name))].count(re.sub(" +", " ", name)) >= 4
