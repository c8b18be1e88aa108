"""The page of `dggn-eval page` in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dggn.metrics.page import write_page
from tests.support.browser import END, LEFT, Browser, needs_browser
from tests.support.processes import wait_until

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture and two larger ones."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "lr").mkdir()
    random = np.random.default_rng(0)
    for name, size in (
        ("a<small>.png", (30, 40)),
        ("high.png", (300, 200)),
        ("wide.png", (200, 240)),
    ):
        Image.fromarray(random.integers(256, size=(*size, 3)).astype(np.uint8)).save(
            folder / "lr" / name
        )
    assert write_page(folder / "page.html", folder / "lr", ("bicubic", "bicubic")) == 3
    return folder / "page.html"


def sizes(browser: Browser) -> object:
    pairs = "[...document.querySelectorAll('.pair')]"
    return browser.run(f"{pairs}.map(one => [one.offsetWidth, one.offsetHeight])")


def test_results_are_shown_in_their_own_pixels(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert sizes(browser) == [[160, 120], [768, 1024], [960, 768]]
    first = "document.querySelector('img.after')"
    wait_until(lambda: browser.run(f"{first}.complete && {first}.naturalWidth > 0"))
    assert browser.run(f"{first}.naturalWidth") == 160
    names = browser.run("[...document.querySelectorAll('h2')].map(one => one.textContent)")
    assert names == ["a<small>.png", "high.png", "wide.png"]
    assert browser.run("getComputedStyle(document.querySelector('form label')).display") == "none"


def test_the_page_does_not_jump_when_pictures_are_decoded(browser: Browser, page: Path) -> None:
    browser.open(page)
    wait_until(lambda: browser.run("!document.querySelector('img[data-src]')"))
    before = sizes(browser)
    browser.run("document.querySelectorAll('img').forEach(one => one.removeAttribute('src'))")
    assert sizes(browser) == before


def test_the_slider_moves_and_names_are_found(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.type(".pair input", END)
    browser.type(".pair input", LEFT * 5)
    assert browser.run("document.querySelector('.pair').style.getPropertyValue('--at')") == "95%"
    assert browser.run("document.querySelector('.is-before').textContent") == "bicubic"
    browser.type("#find", "wide")
    visible = "[...document.querySelectorAll('article')].filter(one => !one.hidden).length"
    assert browser.run(visible) == 1


def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, page: Path) -> None:
    with browser.as_telephone():
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") <= 360
