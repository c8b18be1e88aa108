from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, headless


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with headless(tmp_path_factory.mktemp("driver") / "log") as browser:
        yield browser
