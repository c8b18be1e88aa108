"""The page of `dggn-serve` in a real browser, with real files."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="needs the serve extra")

from tests.support.browser import END, LEFT, Browser, needs_browser
from tests.support.processes import wait_until
from tests.support.serve_bench import Bench, Opener, file_of, noise, served

pytestmark = needs_browser
EXAMPLES = Path(__file__).parents[3] / "examples"
RIGHT = "\ue014"
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Iterator[Bench]:
    with served() as bench:
        yield bench


@pytest.fixture
def page(browser: Browser, server: Bench) -> Browser:
    server.backend.gate.set()
    browser.open(f"http://127.0.0.1:{server.port}/")
    wait_until(lambda: browser.run("!document.getElementById('work').hidden"))
    return browser


def add(page: Browser, *paths: Path) -> None:
    for path in paths:
        page.type("#files", str(path))


def after(page: Browser, number: int = 0) -> Any:
    """Text shown to the right of a picture."""
    return page.run(f"document.querySelectorAll('article')[{number}]?.dataset.after ?? ''")


def pixels(page: Browser, selector: str) -> np.ndarray:
    """Pixels of a canvas, (H, W, 3)."""
    url = page.run(f"document.querySelector('{selector}').toDataURL()")
    data = io.BytesIO(base64.b64decode(url.partition(",")[2]))
    return np.asarray(Image.open(data).convert("RGB"))


def drop(page: Browser, event: str, name: str, content: bytes) -> None:
    """Drop or paste files, as far as a script can."""
    data = base64.b64encode(content).decode()
    page.run(
        f"""(() => {{
          const bytes = Uint8Array.from(atob("{data}"), (letter) => letter.charCodeAt(0));
          const files = new DataTransfer();
          files.items.add(new File([bytes], {json.dumps(name)}, {{ type: "image/png" }}));
          const init = {{ bubbles: true, cancelable: true }};
          document.body.dispatchEvent({event}(files, init));
        }})()"""
    )


def test_a_preview_at_100_percent_and_the_slider(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(noise(400, 900)))
    add(page, tmp_path / "a.png")
    wait_until(lambda: after(page) == "preview")
    sizes = [
        page.run(
            f"['{side}Width', '{side}Height'].map((name) => document.querySelector('.after')[name])"
        )
        for side in ("offset", "client")
    ]
    drawn = page.run("((one) => [one.width, one.height])(document.querySelector('.after'))")
    assert sizes == [drawn, drawn], "a pixel of the result is one of the screen"
    shown = pixels(page, "article .after")
    y, x = (400 - shown.shape[0] // 2 + 1) // 2, (900 - shown.shape[1] // 2 + 1) // 2
    part = noise(400, 900)[y : y + shown.shape[0] // 2, x : x + shown.shape[1] // 2]
    np.testing.assert_array_equal(shown, part.repeat(2, 0).repeat(2, 1))
    page.type(".pair input", LEFT * 5)
    at = "document.querySelector('.pair').style.getPropertyValue('--at')"
    assert page.run(at) == "45%"
    page.type(".pair input", END)
    assert page.run(at) == "100%"


def test_the_part_moves_by_keyboard_and_mouse(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(noise(900, 1800)))
    add(page, tmp_path / "a.png")
    wait_until(lambda: after(page) == "preview")
    left = "parseFloat(document.querySelector('.whole i').style.left)"
    before = page.run(left)
    page.type(".whole", RIGHT * 2)
    moved = page.run(left)
    assert moved > before + 10
    wait_until(lambda: after(page) == "preview")
    page.drag(".whole", "mouse", (0, -20, -40))
    assert page.run(left) < before
    wait_until(lambda: after(page) == "preview")


def test_size_format_and_saving(page: Browser, server: Bench, tmp_path: Path) -> None:
    page.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    add(page, EXAMPLES / "rocket.jpg")
    wait_until(lambda: after(page) == "preview")
    page.run(
        "(() => { const size = document.getElementById('size'); size.value = 'side'; "
        "const side = document.getElementById('side'); side.value = 300; "
        "document.getElementById('format').value = 'webp'; "
        "size.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    assert page.run("document.querySelector('.facts').textContent").endswith("300 × 200")
    page.click("article .make")
    wait_until(lambda: after(page) == "after")
    page.click("article .save")
    target = tmp_path / "rocket-large.webp"
    wait_until(target.exists)
    expected = server.ask(
        "/upscale?max_size=300&format=webp&quality=95", (EXAMPLES / "rocket.jpg").read_bytes()
    )
    wait_until(lambda: target.read_bytes() == expected.body)
    assert "Comment" in page.run("document.querySelector('.notes').textContent")
    assert "rocket.jpg is done" in page.run("document.getElementById('status').textContent")


def test_strengths_of_denoising(browser: Browser, tmp_path: Path) -> None:
    rgb = noise(40, 60) // 2
    (tmp_path / "a.png").write_bytes(file_of(rgb))
    with served(denoise=1.0, reopen=Opener()) as server:
        browser.open(f"http://127.0.0.1:{server.port}/")
        wait_until(lambda: browser.run("!document.getElementById('work').hidden"))
        assert browser.run("document.getElementById('denoise').value") == "1"
        add(browser, tmp_path / "a.png")
        wait_until(lambda: after(browser) == "preview")
        np.testing.assert_array_equal(pixels(browser, "article .after")[::2, ::2], rgb)
        browser.run(
            "(() => { const strength = document.getElementById('denoise'); strength.value = 0.5; "
            "strength.dispatchEvent(new Event('input', { bubbles: true })); })()"
        )
        wait_until(lambda: after(browser) == "preview")
        np.testing.assert_array_equal(pixels(browser, "article .after")[::2, ::2], rgb + 50)


def test_a_model_of_one_strength_offers_no_choice(page: Browser) -> None:
    assert page.run("document.getElementById('denoise-label').hidden")


def test_all_at_once_as_a_zip(page: Browser, tmp_path: Path) -> None:
    page.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "é.png").write_bytes(file_of(noise(20, 30, ord(folder))))
    (tmp_path / "deep.tif").write_bytes(file_of(noise(10, 12), "TIFF"))
    add(page, tmp_path / "a" / "é.png", tmp_path / "b" / "é.png", tmp_path / "deep.tif")
    page.click("#make-all")
    wait_until(lambda: page.run("document.querySelectorAll('.save:not([hidden])').length") == 3)
    page.click("#save-all")
    wait_until((tmp_path / "enlarged.zip").exists)
    with zipfile.ZipFile(tmp_path / "enlarged.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["é-large.png", "é-large-2.png", "deep-large.tiff"]
        with archive.open("é-large-2.png") as file, Image.open(file) as image:
            found = np.asarray(image)
    np.testing.assert_array_equal(found, noise(20, 30, ord("b")).repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    "event",
    [
        "(files, init) => new DragEvent('drop', { ...init, dataTransfer: files })",
        "(files, init) => new ClipboardEvent('paste', { ...init, clipboardData: files })",
    ],
)
def test_dropped_and_pasted(page: Browser, event: str) -> None:
    drop(page, f"({event})", "<img src=x onerror=alert(1)>.png", file_of(noise(20, 30)))
    wait_until(lambda: after(page) == "preview")
    assert page.run("document.querySelector('h2').textContent").startswith("<img")
    assert page.run("document.querySelectorAll('h2 img').length") == 0


def test_what_the_browser_cannot_show_the_server_does(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(file_of(noise(20, 30), "TIFF"))
    add(page, tmp_path / "a.tif")
    wait_until(lambda: after(page) == "preview")
    np.testing.assert_array_equal(
        pixels(page, "article .after"), noise(20, 30).repeat(2, 0).repeat(2, 1)
    )


def test_what_is_no_picture_says_so(page: Browser) -> None:
    add(page, EXAMPLES / "README.md")
    why = "document.querySelector('.why').textContent"
    wait_until(lambda: "not a picture" in page.run(why))
    assert page.run("document.querySelector('article').className") == "failed"


def test_stopping_frees_the_place(page: Browser, server: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(noise(200, 300)))
    add(page, tmp_path / "a.png")
    wait_until(lambda: after(page) == "preview")
    server.backend.gate.clear()
    page.click("article .make")
    wait_until(lambda: "%" in page.run("document.querySelector('.state').textContent"))
    page.click("article .stop")
    wait_until(lambda: page.run("document.querySelector('.state').textContent") == "Stopped")
    server.backend.gate.set()
    wait_until(server.is_idle)


def test_a_token_is_asked_for(browser: Browser) -> None:
    with served(token=TOKEN) as bench:
        browser.open(f"http://127.0.0.1:{bench.port}/")
        shown = "!document.getElementById('access').hidden"
        wait_until(lambda: browser.run(shown))
        browser.type("#token", "wrong-wrong-wrong\ue007")
        wait_until(lambda: "wrong" in browser.run("document.getElementById('refused').textContent"))
        browser.type("#token", TOKEN + "\ue007")
        wait_until(lambda: browser.run("!document.getElementById('work').hidden"))
        assert not browser.run(shown)
        browser.run("sessionStorage.clear()")


def test_everything_has_a_name_for_screen_readers(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(noise(20, 30)))
    add(page, tmp_path / "a.png")
    wait_until(lambda: after(page) == "preview")
    nodes = page.cdp("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "slider", "combobox", "spinbutton", "textbox", "image", "progressbar")
    found = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert len(found) > 10
    assert [role for role, name in found if not name.strip()] == []
    names = [name for role, name in found if role in ("button", "slider") and "a.png" in name]
    assert len(names) >= 4


def test_nothing_is_asked_of_other_hosts(page: Browser, server: Bench) -> None:
    names = page.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) >= 8
    own = (f"http://127.0.0.1:{server.port}/", "blob:", "data:")
    assert [name for name in names if not name.startswith(own)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_on_a_telephone(page: Browser, scheme: str, tmp_path: Path) -> None:
    (tmp_path / f"{'long-name-' * 12}.png").write_bytes(file_of(noise(300, 400)))
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    page.cdp("Emulation.setEmulatedMedia", features=media)
    try:
        with page.as_telephone():
            add(page, *tmp_path.iterdir())
            wait_until(lambda: after(page) == "preview")
            assert page.run("document.documentElement.scrollWidth") <= 360
            page.run("window.scrollTo(0, 0)")
            shot = np.asarray(page.screenshot()).astype(float)
            corner = shot[2, 2].mean()
            assert corner > 235 if scheme == "light" else corner < 30
            assert np.abs(shot[20:120, :600] - corner).max() > 150, "the heading stands out"
    finally:
        page.cdp("Emulation.setEmulatedMedia", features=[])
