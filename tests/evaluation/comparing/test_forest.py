"""The forest plot: everything known is inside, wide intervals of seeds do not squeeze it."""

import math
import xml.etree.ElementTree as ElementTree

import pytest

from sedistill.common.report.figures import INK
from sedistill.evaluation.comparing.forest import ForestFigure, ForestRow, forest_svg, shown_range

NAN = math.nan
TWO_SEEDS = ForestRow("kd", 0.2, (0.1, 0.3), (-5.0, 5.4), (0.15, 0.25))
ONE_SEED = ForestRow("a & b", -0.1, (-0.3, 0.1), (NAN, NAN), (-0.1,))


def test_the_axis_holds_everything_but_the_intervals_over_seeds() -> None:
    low, high = shown_range([TWO_SEEDS, ONE_SEED])
    assert low == pytest.approx(-0.3 - 0.06 * 0.6)
    assert high == pytest.approx(0.3 + 0.06 * 0.6)


def test_the_axis_holds_zero_and_what_is_known() -> None:
    low, high = shown_range([ForestRow("x", 2.0, (NAN, NAN), (NAN, NAN), ())])
    assert low < 0 < 2 < high
    low, high = shown_range([ForestRow("x", NAN, (NAN, NAN), (NAN, NAN), ())])
    assert low < 0 < high


def test_the_plot_is_svg_in_the_pages_ink_with_every_method() -> None:
    svg = forest_svg(ForestFigure("A & B", "better →", [TWO_SEEDS, ONE_SEED]))
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "A & B"
    assert "currentColor" in svg
    assert INK not in svg
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"kd", "a & b", "better →"} <= set(texts)


def test_more_methods_make_a_taller_plot() -> None:
    heights = [
        float(
            ElementTree.fromstring(forest_svg(ForestFigure("t", "x", [ONE_SEED] * n)))
            .get("viewBox")
            .split()[3]
        )
        for n in (1, 11)
    ]
    assert heights[1] - heights[0] == pytest.approx(10 * 0.3 * 72)


def test_a_plot_of_nothing_known_is_drawn() -> None:
    ElementTree.fromstring(
        forest_svg(ForestFigure("t", "x", [ForestRow("x", NAN, (NAN, NAN), (NAN, NAN), ())]))
    )
