"""Figures of patches: every category in its color, and what they do without."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from sedistill.analyzing.categories import CATEGORIES
from sedistill.analyzing.patch_figures import (
    CATEGORY_COLORS,
    CategoryCurve,
    CategoryCurves,
    CategoryMap,
    ShareMap,
    category_curves_svg,
    category_map_svg,
    share_map_svg,
    share_text,
)
from sedistill.common.report.figures import INK


def texts_in(svg: str) -> set[str]:
    assert INK not in svg
    root = ElementTree.fromstring(svg)
    return {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}


def test_every_category_has_a_color_in_the_order_of_their_numbers() -> None:
    assert tuple(CATEGORY_COLORS) == CATEGORIES


def test_curves_name_their_shares() -> None:
    curves = [CategoryCurve("converged", 0.704, [1, 2], [0.3, 0.2]),
              CategoryCurve("exploding", 0.0001, [1, 2], [0.1, 0.4])]  # fmt: skip
    svg = category_curves_svg(CategoryCurves("A & B", curves))
    assert {"converged 70.4 %", "exploding <0.1 %", "training step", "mean error"} <= texts_in(svg)
    assert ElementTree.fromstring(svg).get("aria-label") == "A & B"


def test_no_patches_make_no_curves() -> None:
    texts_in(category_curves_svg(CategoryCurves("empty", [])))


def test_maps_are_pictures_with_axes() -> None:
    categories = np.arange(12).reshape(4, 3) % 4
    svg = category_map_svg(CategoryMap("c", categories, np.linspace(-90, 0, 12).reshape(4, 3), 500.0, 0.008))
    assert {"seconds", "kHz", *CATEGORIES} <= texts_in(svg)
    assert "<image" in svg
    svg = share_map_svg(ShareMap("s", "of the records", np.full((4, 3), 0.5), 500.0, 0.008))
    assert {"seconds", "kHz", "of the records", "50%", "100%"} <= texts_in(svg)


def test_silence_is_drawn() -> None:
    texts_in(category_map_svg(CategoryMap("c", np.zeros((4, 3), int), np.full((4, 3), -120.0), 500.0, 0.008)))


def test_shares_as_text() -> None:
    assert [share_text(share) for share in (0, 0.0004, 0.0005, 0.704, 1)] == [
        "0.0 %", "<0.1 %", "0.1 %", "70.4 %", "100.0 %",
    ]  # fmt: skip
