from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.system.cache import user_cache


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DGGN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_own_variable_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    assert user_cache() == tmp_path


@pytest.mark.skipif(os.name == "nt", reason="Windows has LOCALAPPDATA")
@pytest.mark.parametrize(
    ("xdg", "expected"),
    [("/xdg", "/xdg/dggn"), ("relative", "/home/me/.cache/dggn"), ("", "/home/me/.cache/dggn")],
)
def test_as_xdg_has_it(monkeypatch: pytest.MonkeyPatch, xdg: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert user_cache() == Path(expected)
