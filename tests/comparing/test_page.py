"""A comparison as Markdown and as a page."""

import html.parser

import pytest

from sedistill.comparing.forest import ForestFigure, ForestRow
from sedistill.comparing.page import (
    ComparisonReport,
    ComparisonSection,
    TextTable,
    figures_of,
    markdown,
    render_page,
)
from sedistill.markdown import markdown_table
from sedistill.report.figures import standing_alone

TABLE = TextTable(["", "SI-SDR"], [["a|b", "+0.1"]], "A note.")


@pytest.fixture
def report() -> ComparisonReport:
    row = ForestRow("kd", 0.2, (0.1, 0.3), (-5.0, 5.4), (0.15, 0.25))
    sections = [
        ComparisonSection("Summary <all>", "test", [TABLE]),
        ComparisonSection("SI-SDR on test", "test-si_sdr", [TABLE], ForestFigure("t", "x", [row])),
    ]
    return ComparisonReport("One & all", "In short.", ["One.", "Two."], sections, [("seeds", "0, 1")])


def test_a_table_as_markdown() -> None:
    assert markdown_table(TABLE.header, TABLE.rows) == "|  | SI-SDR |\n| --- | ---: |\n| a\\|b | +0.1 |"


def test_the_text_holds_everything_in_order(report: ComparisonReport) -> None:
    text = markdown(report, {"test-si_sdr": "figures/test-si_sdr.svg"})
    parts = [
        "# One & all",
        "In short.",
        "- One.",
        "## Summary &lt;all>",
        "A note.",
        "| a\\|b |",
        "## SI-SDR on test",
    ]
    parts += ["![SI-SDR on test](figures/test-si_sdr.svg)", "- seeds: 0, 1"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_page_holds_everything_and_nothing_from_outside(report: ComparisonReport) -> None:
    figures = figures_of(report)
    assert list(figures) == ["test-si_sdr"]
    page = render_page(report, figures)
    html.parser.HTMLParser().feed(page)
    assert "One &amp; all" in page
    assert "Summary &lt;all&gt;" in page
    assert page.count("<svg") == 1
    assert page.count('<table class="numbers">') == 2
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_figure_as_a_file_has_its_own_ink_and_font(report: ComparisonReport) -> None:
    svg = standing_alone(figures_of(report)["test-si_sdr"])
    assert svg.startswith('<svg style="color: #1d2128')
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg
