"""Paths of cached engines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.backends.trt.engine_cache import cache_folder, engine_path
from tests.support.engine_facts import GPU, MODEL, REQUEST


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
        engine_path("../a model", MODEL, REQUEST, GPU),
        engine_path("../a model", "0" * 64, REQUEST, GPU),
        engine_path("../a model", MODEL, replace(REQUEST, batch=1), GPU),
        engine_path("../a model", MODEL, REQUEST, replace(GPU, name="Other")),
        engine_path("../a model", MODEL, replace(REQUEST, flavor="tensorrt-rtx"), GPU),
    ]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {tmp_path / "engines"}
    # A new driver or another device index does not make it another engine.
    moved = replace(GPU, index=1, cuda_version="13.0")
    assert engine_path("../a model", MODEL, REQUEST, moved) == paths[0]
    rtx = replace(REQUEST, flavor="tensorrt-rtx")
    assert engine_path("../a model", MODEL, rtx, None) == paths[4]


def test_names_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Engines that users have built are found by later versions."""
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    rtx = replace(REQUEST, flavor="tensorrt-rtx", targets=("sm86", "sm120"))
    assert [
        engine_path("m", MODEL, REQUEST, GPU).name,
        engine_path("m", MODEL, rtx, None).name,
    ] == [
        "m-fp16-uint8-sm86-0fc0e6b15017.engine",
        "m-fp16-uint8-sm86-sm120-e63f2bc6b719.engine",
    ]
