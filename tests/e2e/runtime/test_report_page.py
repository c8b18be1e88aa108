"""The page of `--report` in a real browser: mouse, touch, keyboard, dark, light, 500 pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.image.picture import Picture
from runtime.jobs.result import FileResult
from runtime.report.page import HtmlReport
from runtime.report.preview import Before
from runtime.report.summary import Report
from tests.support.browser import END, LEFT, Browser, needs_browser
from tests.support.processes import wait_until

EXAMPLES = Path(__file__).parents[3] / "examples"

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five hundred pictures, of which every fiftieth failed."""
    with Image.open(EXAMPLES / "coffee.jpg") as image:
        rgb = np.asarray(image)
    large = rgb.repeat(4, axis=0).repeat(4, axis=1)
    preview = Before.of(Picture(rgb_hwc=rgb), large.shape[:2]).beside(Picture(rgb_hwc=large))
    done = FileResult(
        name="",
        status="done",
        source_size_hw=rgb.shape[:2],
        target_size_hw=large.shape[:2],
        seconds=1.5,
        preview=preview,
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    report, html = Report(model="dggn-lite", runs_on="a test"), HtmlReport(path)
    for number in range(500):
        result = replace(done, name=f"holiday/{number:03}.jpg")
        if number % 50 == 7:
            result = FileResult(name=result.name, status="failed", message="the file is empty")
        report.totals.add(result)
        html.add(result)
    html.finish(report)
    return path


def open_and_see(browser: Browser, page: Path) -> None:
    """Open the page and wait for its first picture, which moves what is below it."""
    browser.open(page)
    first = "document.querySelector('img.after')"
    wait_until(lambda: browser.run(f"{first}.complete && {first}.naturalWidth > 0"))


def at(browser: Browser) -> float:
    return float(
        browser.run("document.querySelector('.pair').style.getPropertyValue('--at').slice(0, -1)")
        or 50
    )


def test_five_hundred_pictures_are_quick(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run("document.readyState") == "complete"
    assert browser.run("document.querySelectorAll('article').length") == 500
    loaded = "document.querySelectorAll('img[src]').length"
    # The browser says what is near the window when it has drawn it.
    wait_until(lambda: browser.run(loaded) >= 3)
    assert browser.run(loaded) < 150, "only pictures near the window are decoded"
    assert (
        browser.run(
            "performance.getEntriesByType('resource').filter("
            "entry => !entry.name.startsWith('data:')).length"
        )
        == 0
    )
    browser.run("document.querySelectorAll('article')[499].scrollIntoView()")
    last = "document.querySelectorAll('article')[499].querySelector('img.after')"
    wait_until(lambda: browser.run(f"{last}.complete && {last}.naturalWidth > 0"))


def test_slider_by_keyboard_mouse_and_touch(browser: Browser, page: Path) -> None:
    open_and_see(browser, page)
    slider = ".pair input"
    browser.type(slider, LEFT * 5)
    assert at(browser) == 45
    assert browser.run("getComputedStyle(document.querySelector('.pair')).outlineStyle") == "solid"
    browser.type(slider, END)
    assert at(browser) == 100
    width = int(browser.run("document.querySelector('.pair').offsetWidth"))
    browser.drag(slider, "mouse", (0, -width // 8, -width // 4))
    assert at(browser) == pytest.approx(25, abs=2)
    browser.drag(slider, "touch", (0, width // 8, width // 4))
    assert at(browser) == pytest.approx(75, abs=2)
    label = browser.run("document.querySelector('.pair input').getAttribute('aria-label')")
    assert "holiday/000.jpg" in label


def test_finding_names_and_problems(browser: Browser, page: Path) -> None:
    browser.open(page)
    visible = "[...document.querySelectorAll('article')].filter(one => !one.hidden).length"
    browser.click("#problems")
    assert browser.run(visible) == 10
    assert browser.run("document.getElementById('shown').textContent") == "10 of 500 shown"
    browser.type("#find", "/107")
    assert browser.run(visible) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Browser, page: Path, scheme: str) -> None:
    browser.cdp(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    open_and_see(browser, page)

    def shot() -> NDArray[np.float64]:
        return np.asarray(browser.screenshot()).astype(float)

    # Wait for the first pictures in colour: they are drawn a moment after decoding.
    wait_until(lambda: np.ptp(shot()[250:500, 40:400], axis=2).max() > 60)
    whole = shot()
    corner, text = whole[2, 2].mean(), whole[20:60, :300]
    assert corner > 235 if scheme == "light" else corner < 30
    # The heading contrasts with the page.
    assert np.abs(text - corner).max() > 150


def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, page: Path) -> None:
    with browser.as_telephone():
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") <= 360
