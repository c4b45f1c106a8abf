"""A document as Markdown, as a page and as figure files: the same, in one order."""

import html.parser

import pytest

from sedistill.common.report.document import Document, Figure, Section, TextTable
from sedistill.common.report.figures import Curve, CurveFigure, curves_svg

TABLE = TextTable(["", "SI-SDR"], [["a|b", "+0.1"]], "A note.")


@pytest.fixture
def document() -> Document:
    svg = curves_svg(CurveFigure("t", "y", [Curve("kd", "alone", [0, 1], [1.0, 2.0])]))
    figures = [Figure("one", svg, "Heading", "Seen."), Figure("two", svg, caption="Only a caption.")]
    sections = [
        Section(sentences=["One.", "Two."]),
        Section("Summary <all>", tables=[TABLE]),
        Section("SI-SDR on test", "Of the section.", figures=figures, tables=[TABLE]),
    ]
    return Document("One & all", "In short.", sections, [("seeds", "0, 1")], label="Small scale")


def test_the_text_holds_everything_in_order(document: Document) -> None:
    text = document.markdown("figures")
    parts = [
        "# One & all", "**Small scale.**", "In short.", "- One.\n- Two.", "## Summary &lt;all>", "A note.",
        "|  | SI-SDR |\n| --- | ---: |\n| a\\|b | +0.1 |", "## SI-SDR on test", "Of the section.",
        "![Heading](figures/one.svg)", "**Heading.** Seen.", "![Only a caption.](figures/two.svg)",
        "## How this came about", "- seeds: 0, 1",
    ]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "\n\n\n" not in text
    assert document.markdown().count("](one.svg)") == 1


def test_the_page_holds_everything_and_nothing_from_outside(document: Document) -> None:
    page = document.page()
    html.parser.HTMLParser().feed(page)
    parts = [
        "Small scale", "One &amp; all", "<li>One.</li>", "Summary &lt;all&gt;", "Of the section.",
        "<h3>Heading</h3>", "<figcaption>Seen.</figcaption>", "Only a caption.",
        "How this page came about", "0, 1",
    ]  # fmt: skip
    places = [page.index(f">{part}" if part[0] != "<" else part) for part in parts[2:]]
    assert places == sorted(places)
    assert page.count("<svg") == 2
    assert page.count('<table class="numbers">') == 2
    assert "http" not in page.replace("http://www.w3.org", "")


def test_figures_are_files_with_their_own_ink_and_font(document: Document) -> None:
    files = document.files("result", "figures")
    assert set(files) == {"figures/one.svg", "figures/two.svg", "result.md", "result.html"}
    assert files["figures/one.svg"].startswith('<svg style="color: #1d2128')
    assert 'xmlns="http://www.w3.org/2000/svg"' in files["figures/one.svg"]
    assert files["result.md"] == document.markdown("figures")


def test_tables_and_sentences_are_those_of_all_sections(document: Document) -> None:
    assert document.tables == [("Summary <all>", TABLE), ("SI-SDR on test", TABLE)]
    assert document.sentences == ["One.", "Two."]
