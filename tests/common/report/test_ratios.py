"""KDRL's ratios over training: the right clips, the right quantiles, well-formed SVG."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.report.figures import COLORS, INK
from sedistill.common.report.ratios import RatioFigure, most_seen, ratios_svg, summarize


def test_summary_by_hand() -> None:
    steps = np.array([20, 20, 20, 40, 40, 40])
    ratios = np.array([0.1, 0.2, 0.6, 0.5, 0.5, 0.5])
    centres, low, median, high = summarize(steps, ratios)
    np.testing.assert_allclose(centres, [20, 40])
    np.testing.assert_allclose(median, [0.2, 0.5])
    np.testing.assert_allclose(low, [0.12, 0.5])
    np.testing.assert_allclose(high, [0.52, 0.5])


def test_long_runs_are_put_together_in_forty_spans() -> None:
    steps = np.repeat(np.arange(20, 2001, 20), 2)
    centres, _, median, _ = summarize(steps, steps / 2000)
    assert len(centres) == 40
    np.testing.assert_allclose(median, centres / 2000)


@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1)), max_size=60))
def test_the_median_lies_in_the_band_and_in_order_of_steps(rows: list[tuple[int, float]]) -> None:
    steps, ratios = np.array([row[0] for row in rows], dtype=int), np.array([row[1] for row in rows])
    centres, low, median, high = summarize(steps, ratios)
    assert (low <= median).all()
    assert (median <= high).all()
    assert (np.diff(centres) > 0).all()


def test_single_clips_are_those_seen_most_often() -> None:
    clips = np.array([5, 1, 1, 3, 3, 3, 2, 2])
    assert most_seen(clips, 2).tolist() == [3, 1]
    assert most_seen(clips, 10).tolist() == [3, 1, 2]  # a clip seen once is no line


def test_the_figure_is_svg_in_the_pages_ink() -> None:
    steps, clips = np.repeat([1, 2, 3], 4), np.tile([0, 1, 2, 3], 3)
    svg = ratios_svg(RatioFigure("ratios", steps, clips, np.linspace(0.4, 0.6, 12)))
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "ratios"
    assert INK not in svg
    assert ">median</text>" in svg
    assert len(re.findall(r"stroke-opacity: 0.2", svg)) == 4
    assert COLORS["distilled"] in svg


def test_nothing_logged_yet_is_an_empty_figure() -> None:
    nothing = np.array([])
    ElementTree.fromstring(ratios_svg(RatioFigure("ratios", nothing, nothing, nothing)))
