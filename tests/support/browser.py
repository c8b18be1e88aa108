"""A headless Chromium for tests of pages, driven by the WebDriver protocol."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.processes import HANGS_S, started, wait_until

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
END, LEFT = "\ue010", "\ue012"

needs_browser = pytest.mark.skipif(
    not (DRIVER and CHROMIUM),
    reason="needs Chromium and chromedriver (apt-get install chromium-driver)",
)


class Browser:
    """One window."""

    def __init__(self, address: str) -> None:
        self._address = address
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options = {"binary": CHROMIUM, "args": [*arguments, "--window-size=1100,900"]}
        answer = self._ask(
            "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        )
        self._session = "/session/" + answer["sessionId"]

    def open(self, page: Path | str) -> None:
        """Open a file, or an address."""
        url = page.as_uri() if isinstance(page, Path) else page
        self._ask(self._session + "/url", {"url": url})

    def run(self, script: str) -> Any:
        return self._ask(
            self._session + "/execute/sync", {"script": "return " + script, "args": []}
        )

    def cdp(self, name: str, **parameters: Any) -> Any:
        return self._ask(self._session + "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def element(self, selector: str) -> str:
        found = self._ask(self._session + "/element", {"using": "css selector", "value": selector})
        return str(found[ELEMENT])

    def type(self, selector: str, keys: str) -> None:
        self._ask(f"{self._session}/element/{self.element(selector)}/value", {"text": keys})

    def click(self, selector: str) -> None:
        self._ask(f"{self._session}/element/{self.element(selector)}/click", {})

    def drag(self, selector: str, kind: str, offsets_px: tuple[int, ...]) -> None:
        """Press in the middle of an element, and move by these offsets."""
        origin = {ELEMENT: self.element(selector)}
        steps: list[dict[str, Any]] = [
            {"type": "pointerMove", "origin": origin, "x": x, "y": 0, "duration": 50}
            for x in offsets_px
        ]
        steps.insert(1, {"type": "pointerDown", "button": 0})
        steps.append({"type": "pointerUp", "button": 0})
        pointer = {
            "type": "pointer",
            "id": kind,
            "parameters": {"pointerType": kind},
            "actions": steps,
        }
        self._ask(self._session + "/actions", {"actions": [pointer]})

    @contextmanager
    def as_telephone(self) -> Iterator[None]:
        """Make the window 360 px wide during the block."""
        size = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
        self.cdp("Emulation.setDeviceMetricsOverride", **size)
        try:
            yield
        finally:
            self.cdp("Emulation.clearDeviceMetricsOverride")

    def screenshot(self) -> Image.Image:
        data = self._ask(self._session + "/screenshot", None)
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def close(self) -> None:
        request = urllib.request.Request(self._address + self._session, method="DELETE")
        urllib.request.urlopen(request, timeout=HANGS_S).close()

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data)
        with urllib.request.urlopen(request, timeout=HANGS_S) as response:
            return json.load(response)["value"]


@contextmanager
def headless(log: Path) -> Iterator[Browser]:
    """Run a browser during the block.

    Args:
        log: the driver's, a new file.
    """
    begun = re.compile(r"successfully on port (\d+)")
    with (
        log.open("w") as output,
        started([str(DRIVER), "--port=0"], stdout=output, stderr=output) as driver,
    ):
        try:
            wait_until(lambda: begun.search(log.read_text()), driver)
            found = begun.search(log.read_text())
            assert found
            browser = Browser(f"http://127.0.0.1:{found[1]}")
            try:
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()  # and its browser, if still running
            driver.wait(HANGS_S)
