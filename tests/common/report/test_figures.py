"""Figures: well-formed SVG in the page's colors, with the data where they belong."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.report.figures import (
    COLORS,
    INK,
    BinsPanel,
    Curve,
    CurveFigure,
    curves_svg,
    gap_svg,
    signed_log,
    spectrograms_svg,
)


def images_in(svg: str) -> list[np.ndarray]:
    """The raster pictures (rows from the top, columns, RGBA) inside an SVG, as drawn before any transform."""
    found = re.findall(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]*)", svg)
    return [matplotlib.image.imread(io.BytesIO(base64.b64decode(text)), format="png") for text in found]


def panel(level_db: np.ndarray, **named: object) -> BinsPanel:
    return BinsPanel("a panel", level_db, bin_hz=31.25, frame_seconds=0.008, **named)  # type: ignore[arg-type]


def test_a_curve_figure_is_svg_in_the_pages_ink() -> None:
    svg = curves_svg(CurveFigure("A & B", "dB", [Curve("teacher", "teacher", [0, 1], [2, 3])]))
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "A & B"
    assert root.get("viewBox")
    assert root.get("width") is None
    assert "currentColor" in svg
    assert INK not in svg
    assert COLORS["teacher"] in svg
    assert ">teacher</text>" in svg
    assert "DejaVu" not in svg


def test_a_curve_goes_where_its_values_go() -> None:
    svg = curves_svg(CurveFigure("t", "dB", [Curve("x", "alone", [0, 1, 2], [0.0, 1.0, 0.5])]))
    path = re.search(rf'd="([^"]*)"[^>]*style="[^"]*stroke: {COLORS["alone"]}; stroke-width: 2', svg)
    assert path
    x, y = np.array(re.findall(r"([\d.]+) ([\d.]+)", path[1]), dtype=float)[:3].T
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], abs=1e-3)
    assert y[0] - y[2] == pytest.approx((y[0] - y[1]) / 2, abs=1e-3)  # SVG's y points down


def test_spectrograms_share_one_scale() -> None:
    loud, quiet = np.zeros((257, 50)), np.full((257, 50), -200.0)
    first, second = (images_in(svg)[0][..., :3] for svg in spectrograms_svg([panel(loud), panel(quiet)]))
    assert first.mean() > 0.8
    assert second.mean() < 0.1


def test_low_bins_are_at_the_bottom() -> None:
    level = np.full((100, 40), -100.0)
    level[:10] = 0.0
    (svg,) = spectrograms_svg([panel(level)])
    image = images_in(svg)[0][..., :3].mean(axis=(1, 2))
    flipped = "scale(1 -1)" in svg or "matrix(1 0 0 -1" in svg
    top, bottom = image[: len(image) // 20].mean(), image[-len(image) // 20 :].mean()
    assert (top > bottom) if flipped else (bottom > top)


def images_of_both(*panels: BinsPanel) -> list[np.ndarray]:
    """The images of panels, as wide as the narrowest: matplotlib before 3.11 may round one up by a pixel."""
    images = [images_in(svg)[0] for svg in spectrograms_svg(list(panels))]
    return [image[:, : min(image.shape[1] for image in images)] for image in images]


def test_only_what_is_not_distilled_is_veiled() -> None:
    taught = np.zeros((100, 40), dtype=bool)
    taught[:, :10] = True
    level = np.zeros((100, 40))
    plain, veiled = images_of_both(panel(level), panel(level, taught=taught))
    differs = np.abs(veiled - plain).max(axis=(0, 2)) > 0.1
    assert differs.mean() == pytest.approx(0.75, abs=0.02)
    assert not differs[: len(differs) // 5].any()
    assert differs[-len(differs) // 2 :].all()


def test_everything_distilled_leaves_no_veil() -> None:
    level, everything = np.zeros((100, 40)), np.ones((100, 40), dtype=bool)
    plain, unveiled = images_of_both(panel(level), panel(level, taught=everything))
    np.testing.assert_array_equal(unveiled, plain)


def test_a_crossover_is_a_line_across_the_picture() -> None:
    crossover = np.full(40, 49)
    (svg,) = spectrograms_svg([panel(np.zeros((100, 40)), crossover=crossover)])
    ElementTree.fromstring(svg)
    assert "#7df9e0" in svg


def test_no_panels_give_no_pictures() -> None:
    assert spectrograms_svg([]) == []


def test_a_gap_is_shown_in_the_color_of_who_is_ahead() -> None:
    gap = np.concatenate([np.full((50, 40), 1.0), np.full((50, 40), -1.0)])
    svg = gap_svg(BinsPanel("gap", gap, 31.25, 0.008))
    image = images_in(svg)[0][..., :3]
    seen = {tuple(np.round(255 * image[row, image.shape[1] // 2]).astype(int)) for row in (1, -2)}
    assert seen == {_rgb(COLORS["teacher"]), _rgb(COLORS["alone"])}


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def test_a_gap_of_zero_and_patches_without_a_gap_are_drawn() -> None:
    gap = np.zeros((100, 40))
    gap[0, 0] = np.nan
    ElementTree.fromstring(gap_svg(BinsPanel("gap", gap, 31.25, 0.008)))


def test_signed_log_by_hand() -> None:
    np.testing.assert_allclose(signed_log(np.array([0.0, 1.0, -1.0, 3.0])), np.log([1, 2, 0.5, 4]))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_signed_log_keeps_order_and_sign(values: list[float]) -> None:
    gap = np.array(values)
    shown = signed_log(gap)
    assert (np.sign(shown) * np.sign(gap) >= 0).all()
    assert (np.diff(shown[np.argsort(gap, kind="stable")]) >= 0).all()
    np.testing.assert_allclose(signed_log(-gap), -shown)
