"""Names that are markup, formulas or cell borders, in every page, figure and table that is written."""

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sedistill.analyzing import analyze
from sedistill.common.report.document import Document, Figure, Section, TextTable
from sedistill.common.report.figures import BinsPanel, Curve, CurveFigure
from sedistill.common.report.ratios import RatioFigure, ratios_svg
from sedistill.evaluation.comparing import compare
from sedistill.workflows.reproducing.command import write_result
from tests.analyzing.test_command import run  # noqa: F401  # a fixture
from tests.evaluation.evaluations import scores_around, write_evaluation
from tests.workflows.page_example import example_page

MARKUP, FORMULA, BAR = "<img src=x onerror=alert(1)>", "=1+1", "a|b"
NAMES = (MARKUP, FORMULA, BAR)
SCRIPT = "<script>alert(1)</script>"


class _Elements(HTMLParser):
    """Elements of a page that no name may bring in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if any(name.startswith("on") for name in values) or values.get("src") == "x":
            self.found.append(tag)


def assert_escaped(text: str, kind: str) -> None:
    """Nothing of the names is an element or a formula; rows of tables in Markdown are equally long."""
    assert SCRIPT not in text or kind == ".csv"
    if kind in (".html", ".svg"):
        assert _Elements(text).found == []
        assert MARKUP not in text
    if kind == ".md":
        text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)  # code is shown as it is
        assert MARKUP not in text
        for table in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
            cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(cells) == 1
    if kind == ".csv":
        for row in csv.reader(text.splitlines()):
            for cell in row:
                assert not re.match(r"[=+@]|-(?!\d|inf)", cell), cell


def assert_folder_is_safe(folder: Path, kinds: Iterable[str]) -> None:
    written = [path for path in sorted(folder.rglob("*")) if path.suffix in (".html", ".svg", ".md", ".csv")]
    assert {path.suffix for path in written} == set(kinds)
    for path in written:
        assert_escaped(path.read_text(encoding="utf-8"), path.suffix)


def test_evaluate_and_compare(tmp_path: Path) -> None:
    models = {f"{name}/seed-0": scores_around(5.0, seed) for seed, name in enumerate((*NAMES, "plain"))}
    for place in (tmp_path / "scores", tmp_path / "more"):
        write_evaluation(place, models, metrics=("si_sdr", "stoi"), sets=NAMES)
    assert_folder_is_safe(tmp_path / "scores", (".csv", ".md"))
    compare([tmp_path / "scores"], tmp_path / "out", baseline="plain")
    assert_folder_is_safe(tmp_path / "out", (".html", ".svg", ".md", ".csv"))
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "&lt;img src=x" in page
    assert r"a\|b" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_analyze(run: Callable[..., Path], tmp_path: Path) -> None:  # noqa: F811
    folders = [run("one", run=SCRIPT), run("two", seed=1, run=FORMULA), run("three", seed=2, run=BAR)]
    analyze(folders, tmp_path / "out")
    assert_folder_is_safe(tmp_path / "out", (".html", ".svg", ".md", ".csv"))


@pytest.mark.parametrize("name", [*NAMES, SCRIPT])
def test_reproduce(tmp_path: Path, name: str) -> None:
    svg = ratios_svg(RatioFigure(name, np.arange(4), np.arange(4) % 2, np.full(4, 0.5)))
    table = TextTable([name, name], [[name, name], ["x", "1.0"]], name)
    section = Section(name, name, [name], [Figure("f", svg, name, name)], [table])
    write_result(tmp_path, Document(name, name, [section], [(name, name)], label=name), {})
    assert_folder_is_safe(tmp_path, (".html", ".svg", ".md"))


@pytest.mark.parametrize("name", [*NAMES, SCRIPT])
def test_the_page_about_a_training(name: str) -> None:
    data = example_page()
    steps = np.arange(3)
    data.scores.facts["metrics"] = dict.fromkeys(data.scores.metrics, name)
    page = replace(
        data,
        title=name,
        summary=name,
        curves=[CurveFigure(name, name, [Curve(name, "alone", steps, steps * 1.0)], name)],
        spectrograms=[BinsPanel(name, np.zeros((3, 3)), bin_hz=1.0, frame_seconds=1.0)],
        players=[
            replace(player, title=name, tracks=[replace(track, scores=name) for track in player.tracks])
            for player in data.players
        ],
        reading=[name],
        commands=[(name, name)],
        facts=[(name, name)],
    )
    assert_escaped(page.render(), ".html")
