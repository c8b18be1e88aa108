"""Caching of the kernels that TensorRT-RTX compiles."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.backends.trt.kernel_cache import KernelCache


class Cache:
    """TensorRT-RTX's runtime cache."""

    def __init__(self, content: bytes = b"compiled") -> None:
        self.content = content
        self.loaded: bytes | None = None

    def deserialize(self, content: bytes) -> bool:
        self.loaded = content
        return content == b"compiled"

    def serialize(self) -> bytes:
        return self.content


def config_with(cache: Any) -> Any:
    config = SimpleNamespace(used=[], create_runtime_cache=lambda: cache)
    config.set_runtime_cache = config.used.append
    return config


def test_compiled_kernels_are_kept_for_the_next_time(tmp_path: Path) -> None:
    engine = tmp_path / "x.engine"
    first = Cache()
    kept = KernelCache.beside(engine, config_with(first))
    assert kept is not None
    assert first.loaded is None
    kept.save()
    assert (tmp_path / "x.engine.kernels").read_bytes() == b"compiled"

    second = Cache()
    config = config_with(second)
    kept = KernelCache.beside(engine, config)
    assert kept is not None
    assert config.used == [second]
    assert second.loaded == b"compiled"
    second.content = b"compiled more"
    kept.save()
    assert (tmp_path / "x.engine.kernels").read_bytes() == b"compiled more"


def test_kernels_that_do_not_fit_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.engine.kernels").write_bytes(b"of another GPU")
    kept = KernelCache.beside(tmp_path / "x.engine", config_with(Cache()))
    assert kept is not None
    kept.save()
    assert (tmp_path / "x.engine.kernels").read_bytes() == b"compiled"


def test_a_folder_that_cannot_be_written_costs_time_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = KernelCache.beside(tmp_path / "file" / "x.engine", config_with(Cache()))
    assert kept is not None
    kept.save()
    assert "the next start will take longer" in caplog.text


def test_a_library_without_a_cache(tmp_path: Path) -> None:
    assert KernelCache.beside(tmp_path / "x.engine", SimpleNamespace()) is None
