"""examples/browser in a real browser: a file and the microphone come out as ours do, sample by sample."""

import base64
import functools
import io
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import sedistill
from tests.common.report.test_browser import BROWSER, DESK, DRIVER, FLAGS, PHONE
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

PLACE = Path(__file__).parents[3] / "examples" / "browser"
PACKAGES = PLACE / "node_modules"
pytestmark = [
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium and chromedriver to show the page in"),
    pytest.mark.skipif(
        not (PACKAGES / "onnxruntime-web").is_dir(),
        reason="no onnxruntime-web; `npm install` in examples/browser",
    ),
]
RATE = 16_000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page(
    exported: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """The page's folder with a network in it, and its address."""
    folder = tmp_path_factory.mktemp("page")
    for path in PLACE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(PACKAGES)
    shutil.copy(exported("two blocks", "stream"), folder / "network.onnx")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield folder, f"http://127.0.0.1:{server.server_port}/index.html"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    heard = tmp_path_factory.mktemp("heard") / "heard.wav"
    soundfile.write(heard, noise(5 * RATE), RATE, subtype="PCM_16")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        *FLAGS, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    ):  # fmt: skip
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def show(browser: Any, address: str, width: int = DESK) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")  # of the page before
    browser.get(address)
    until(browser, lambda: "Loading" not in state(browser))


def until(browser: Any, is_so: Callable[[], bool]) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 60).until(lambda _: is_so())


def state(browser: Any) -> str:
    return browser.find_element("id", "state").text


def has_results(browser: Any) -> bool:
    return browser.find_element("id", "results").is_displayed()


def saved(browser: Any, which: str) -> np.ndarray:
    """What the link saves, a WAV of floating point."""
    script = """
        const [id, done] = arguments;
        fetch(document.getElementById(id).href).then((answer) => answer.blob()).then((blob) => {
            const reader = new FileReader();
            reader.onload = () => done(reader.result.split(",")[1]);
            reader.readAsDataURL(blob);
        });"""
    data = base64.b64decode(browser.execute_async_script(script, f"save-{which}"))
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE
    return samples


def ours(noisy: np.ndarray) -> np.ndarray:
    return sedistill.enhance(network("two blocks"), noisy, RATE, chunk_seconds=None)


def test_a_file(browser: Any, page: tuple[Path, str], tmp_path: Path) -> None:
    noisy = noise(20_077)
    soundfile.write(tmp_path / "noisy.wav", noisy, RATE, subtype="FLOAT")
    show(browser, page[1])
    assert state(browser) == "Ready: 16 kHz, 32 ms."
    browser.find_element("id", "file").send_keys(str(tmp_path / "noisy.wav"))
    until(browser, lambda: has_results(browser))
    np.testing.assert_allclose(saved(browser, "noisy"), noisy, atol=1e-6)
    clean = saved(browser, "clean")
    assert np.abs(clean - ours(noisy)).max() < 1e-5
    assert np.abs(clean).max() > 1e-3
    assert browser.find_element("id", "save-clean").get_attribute("download") == "noisy-clean.wav"


def test_the_microphone(browser: Any, page: tuple[Path, str]) -> None:
    show(browser, page[1])
    button = browser.find_element("id", "microphone")
    button.click()
    level = "return Math.min(document.getElementById('in').value, document.getElementById('out').value)"
    until(browser, lambda: browser.execute_script(level) > 0)
    assert "ms late" in state(browser)
    button.click()
    until(browser, lambda: has_results(browser))
    noisy, clean = saved(browser, "noisy"), saved(browser, "clean")
    assert noisy.shape == clean.shape
    assert np.abs(noisy).max() > 1e-3
    assert np.abs(clean - ours(noisy)[: len(clean)])[:-512].max() < 1e-5  # the end has heard more than ours


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_errors_and_nothing_sticks_out(browser: Any, page: tuple[Path, str], width: int) -> None:
    show(browser, page[1], width)
    browser.execute_script("document.getElementById('results').hidden = false")
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_what_cannot_be_used_is_told(
    browser: Any, page: tuple[Path, str], exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    show(browser, page[1])
    browser.find_element("id", "file").send_keys(str(tmp_path / "text.wav"))
    until(browser, lambda: state(browser) == "text.wav is no sound that this browser reads.")
    place = page[0] / "network.onnx"
    good = place.read_bytes()
    try:
        shutil.copy(exported("two blocks", "spectrum"), place)
        show(browser, page[1])
        assert state(browser) == "network.onnx is no stream; export it with --form stream."
        place.write_bytes(b"text")
        show(browser, page[1])
        assert state(browser) == "This is no ONNX file."
        place.unlink()
        show(browser, page[1])
        assert state(browser).startswith("There is no network.onnx; export a network to it")
        assert not browser.find_element("id", "file").is_enabled()
    finally:
        place.write_bytes(good)
