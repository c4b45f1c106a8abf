"""Every kind of page in a real browser: no errors, nothing wider than a phone, players play, tables sort."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sedistill.common.report.document import Document, Figure, Section, TextTable
from sedistill.common.report.figures import BinsPanel, gap_svg
from sedistill.common.report.ratios import RatioFigure, ratios_svg
from sedistill.evaluation.comparing.forest import ForestFigure, ForestRow, forest_svg
from tests.workflows.page_example import example_page

pytest.importorskip("selenium", reason="pages are tested in a browser by selenium, which is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no chromium and chromedriver to show pages in"
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)  # fmt: skip
PHONE, DESK = 390, 1400

TABLE = TextTable(
    ["", "WB-PESQ", "difference [95 %]", "t-test p (Holm)", "Wilcoxon p (Holm)", "gap closed [95 %]"],
    [
        [
            "distilled, keep 0.8",
            "2.531",
            "+0.115 [+0.050, +0.180]",
            "<0.001 (0.002)",
            "0.004",
            "24 % [9, 40]",
        ],
        ["a-method-with-a-name-that-does-not-end", "10.1", "−0.02 [−0.1, +0.06]", "0.41", "0.5", "–"],
        ["random", "2.506", "+0.086 [+0.010, +0.161]", "0.03", "0.05", "18 % [2, 33]"],
    ],
    "Over clips: differences averaged over seeds.",
)
FACTS = [("command", "sedistill compare scores " + "very/" * 40), ("seeds", "0, 1, 2")]


def comparison_page() -> str:
    row = ForestRow("kd", 0.2, (0.1, 0.3), (-5.0, 5.4), (0.15, 0.25))
    figure = Figure("pesq", forest_svg(ForestFigure("PESQ", "Δ", [row] * 4)), "PESQ on test")
    sections = [Section(sentences=["One.", "Two."]), Section("PESQ", figures=[figure], tables=[TABLE])]
    return Document("kd against alone", "In short.", sections, FACTS).page()


def analysis_page() -> str:
    gap = BinsPanel("gap", np.random.default_rng(0).standard_normal((20, 30)), 31.25, 0.008)
    section = Section("Clip", "A note.", ["One."], [Figure("g", gap_svg(gap), "Gap", "A caption.")], [TABLE])
    return Document("Patches", "In short.", [section], FACTS).page()


def reproduced_page() -> str:
    svg = ratios_svg(RatioFigure("ratio", np.arange(4), np.arange(4) % 2, np.full(4, 0.5)))
    sections = [Section("T", tables=[TABLE]), Section(figures=[Figure("f", svg, caption="c")])]
    return Document("Table 1", "Ours and theirs.", sections, FACTS, label="Small scale").page()


PAGES: dict[str, Callable[[], str]] = {
    "demo": lambda: example_page().render(),
    "comparison": comparison_page,
    "analysis": analysis_page,
    "reproduced": reproduced_page,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, make in PAGES.items():
        (folder / f"{name}.html").write_text(make(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in PAGES}


def show(browser: Any, place: Path, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")  # of the page before
    browser.get(place.as_uri())


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", PAGES)
def test_no_errors_and_nothing_sticks_out(
    browser: Any, places: dict[str, Path], name: str, width: int
) -> None:
    show(browser, places[name], width)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.parametrize("name", ["comparison", "analysis", "reproduced"])
def test_tables_sort_by_the_column_that_is_pressed(browser: Any, places: dict[str, Path], name: str) -> None:
    show(browser, places[name], DESK)
    table = browser.find_element("css selector", "table.numbers")

    def names() -> list[str]:
        return [cell.text[:6] for cell in table.find_elements("css selector", "tbody th")]

    heads = table.find_elements("css selector", "thead button")
    heads[1].click()
    assert names() == ["random", "distil", "a-meth"]
    assert table.find_elements("css selector", "thead th")[1].get_attribute("aria-sort") == "ascending"
    heads[1].click()
    assert names() == ["a-meth", "distil", "random"]
    heads[2].send_keys("\n")  # by keyboard; a minus sign counts
    assert names() == ["a-meth", "random", "distil"]
    heads[0].click()
    assert names() == ["a-meth", "distil", "random"]


def audio(browser: Any, number: int) -> dict[str, Any]:
    script = "const a = document.querySelectorAll('audio')[arguments[0]];"
    return browser.execute_script(script + "return {at: a.currentTime, still: a.paused}", number)


def test_players_play_and_seek_by_mouse_and_keyboard(browser: Any, places: dict[str, Path]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    show(browser, places["demo"], DESK)
    wait = WebDriverWait(browser, 10)
    player = browser.find_element("css selector", ".player")
    noisy, alone = player.find_elements("css selector", "button")[:2]
    seconds = browser.execute_script("return document.querySelector('audio').duration")
    noisy.click()
    wait.until(lambda _: audio(browser, 0)["at"] > 0.02)
    alone.send_keys("\n")  # by keyboard, and at the same moment
    wait.until(lambda _: not audio(browser, 1)["still"])
    assert audio(browser, 0)["still"]
    assert noisy.get_attribute("aria-pressed") == "false"

    slider = player.find_element("css selector", "input[type=range]")
    alone.click()  # a pause, so that positions stay
    ActionChains(browser).move_to_element_with_offset(slider, slider.size["width"] // 4, 0).click().perform()
    by_mouse = float(slider.get_attribute("value"))
    assert by_mouse == pytest.approx(750, abs=40)
    slider.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 5)
    assert float(slider.get_attribute("value")) == 5
    slider.send_keys(Keys.HOME, *[Keys.PAGE_UP] * 5)
    at = float(slider.get_attribute("value"))
    noisy.click()
    wait.until(lambda _: not audio(browser, 0)["still"])
    assert audio(browser, 0)["at"] >= at / 1000 * seconds - 0.01


def test_pressing_another_clip_stops_the_first(browser: Any, places: dict[str, Path]) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    show(browser, places["demo"], PHONE)
    players = browser.find_elements("css selector", ".player")
    first, second = (player.find_element("css selector", "button") for player in players)
    wait = WebDriverWait(browser, 10)
    first.click()
    wait.until(lambda _: not audio(browser, 0)["still"])
    second.click()
    wait.until(lambda _: audio(browser, 0)["still"] and not audio(browser, 5)["still"])
