"""The page: whole in itself, complete, honest about n, safe with any text."""

import base64
import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sedistill.common.errors import UserError
from sedistill.common.report.counts import human_count
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.workflows.training_page import System
from tests.workflows.page_example import example_page

VOID = {"meta", "br", "input", "hr", "img", "link"}


class Outline(HTMLParser):
    """Collects what the tests look at, and whether every tag that opens also closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return example_page().render()


def test_it_asks_for_nothing_outside_of_itself(page: str) -> None:
    assert all(reference.startswith(("data:", "#")) for reference in Outline(page).references)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "http" not in without_namespaces
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_every_tag_is_closed(page: str) -> None:
    assert Outline(page).open == []


def test_references_inside_figures_are_not_mixed_up(page: str) -> None:
    outline = Outline(page)
    pointed_at = {reference[1:] for reference in outline.references if reference.startswith("#")}
    pointed_at |= set(re.findall(r"url\(#([^)]*)\)", page))
    assert pointed_at <= set(outline.ids)
    used_twice = {i for i in outline.ids if outline.ids.count(i) > 1}
    assert not pointed_at & used_twice


def test_the_table_says_every_mean_improvement_and_n(page: str) -> None:
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "7.20 ± 2.10 +2.13" in text
    assert "0.7520 ± 0.0500 −0.0140" in text
    assert "SI-SDR, dB how much of the output is the speech, n = 60" in text
    assert text.count("n = 58 of 60") == 4
    assert "36.4 k" in text
    assert "517 k" in text


def test_text_is_shown_as_it_is_written(page: str) -> None:
    assert "&lt;Nothing&gt; more &amp; nothing less." in page


def test_a_player_holds_the_sound_it_was_given(page: str) -> None:
    report = example_page()
    sounds = re.findall(r'src="data:audio/wav;base64,([^"]*)"', page)
    assert len(sounds) == 10
    samples, sample_rate = soundfile.read(io.BytesIO(base64.b64decode(sounds[0])))
    assert sample_rate == report.players[0].sample_rate
    np.testing.assert_allclose(samples, report.players[0].tracks[0].samples, atol=2**-15)


def test_sound_beyond_full_scale_is_limited_not_wrapped() -> None:
    report = example_page()
    player = report.players[0]
    loud = replace(player.tracks[0], samples=np.array([0.5, 1.5, -1.5], dtype=np.float32))
    page = replace(report, players=[replace(player, tracks=[loud])]).render()
    sound = re.search(r'base64,([^"]*)" ?[^>]*></audio>', page)
    assert sound
    samples, _ = soundfile.read(io.BytesIO(base64.b64decode(sound[1])))
    np.testing.assert_allclose(samples, [0.5, 1.0, -1.0], atol=1e-4)


def test_parts_without_content_leave_no_empty_headings() -> None:
    report = replace(example_page(), curves=[], spectrograms=[], gap=None, players=[], commands=[])
    page = report.render()
    for heading in ("Listen", "How they learnt", "What they hear", "With your own recordings"):
        assert f"<h2>{heading}" not in page
    assert "Scores on the test clips" in page


def test_a_system_without_a_score_has_a_dash() -> None:
    report = example_page()
    page = replace(report, systems=[*report.systems, System("teacher", "not scored")]).render()
    assert page.count("<td>–</td>") == report.render().count("<td>–</td>") + 5  # three metrics, two sizes


def test_one_clip_has_no_spread() -> None:
    rows = [
        ClipScore(name, "c", 1.0, 5.0, "", {"stoi": value}) for name, value in ((NOISY, 0.7), ("a", 0.75))
    ]
    systems = [System("noisy", NOISY), System("alone", "a")]
    page = replace(example_page(), scores=SetScores("one", ["stoi"], rows, {}), systems=systems).render()
    assert "± nan" not in page
    assert "+0.0500" in page


def test_the_same_data_give_the_same_page(page: str) -> None:
    assert example_page().render() == page


def test_the_file_is_written_whole_and_small(tmp_path: Path, page: str) -> None:
    example_page().write(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert (tmp_path / "report.html").stat().st_size < 15e6
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UserError, match=r"pip install 'sedistill\[report\]'"):
        example_page().render()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (999, "999"), (999.6, "1 k"), (1000, "1 k"), (36_412, "36.4 k"), (517_003, "517 k"),
        (999_600, "1 M"), (1_456_000, "1.46 M"), (26.3e6, "26.3 M"), (9.8e9, "9.8 G"), (123e9, "123 G"),
    ],
)  # fmt: skip
def test_counts_have_three_digits(value: float, text: str) -> None:
    assert human_count(value) == text
