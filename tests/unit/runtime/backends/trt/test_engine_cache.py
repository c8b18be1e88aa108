"""Paths of cached engines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.backends.trt.engine_cache import cache_folder, engine_path
from tests.support.engine_facts import GPU, MODEL, OPTIONS


@pytest.mark.skipif(os.name == "nt", reason="Windows has another place")
def test_where_engines_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "engines"
    monkeypatch.delenv("DGGN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "dggn" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dggn" / "engines"


def test_names_tell_engines_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    paths = [
        engine_path("../a model", MODEL, OPTIONS, GPU),
        engine_path("../a model", "0" * 64, OPTIONS, GPU),
        engine_path("../a model", MODEL, replace(OPTIONS, batch=1), GPU),
        engine_path("../a model", MODEL, OPTIONS, replace(GPU, name="Other")),
        engine_path("../a model", MODEL, replace(OPTIONS, flavor="tensorrt-rtx"), GPU),
    ]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {tmp_path / "engines"}
    # A new driver or another device index does not make it another engine.
    moved = replace(GPU, index=1, cuda_version="13.0")
    assert engine_path("../a model", MODEL, OPTIONS, moved) == paths[0]
    rtx = replace(OPTIONS, flavor="tensorrt-rtx")
    assert engine_path("../a model", MODEL, rtx, None) == paths[4]
