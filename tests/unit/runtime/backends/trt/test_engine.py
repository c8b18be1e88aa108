from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import runtime.backends.trt.engine
from runtime.backends.trt.kernel_cache import KernelCache
from tests.support.tensorrt_ages import RECORDED

USED_EVERYWHERE = {
    "Runtime": ["deserialize_cuda_engine"],
    "ICudaEngine": [
        "create_execution_context",
        "get_tensor_dtype",
        "get_tensor_mode",
        "get_tensor_name",
        "num_io_tensors",
    ],
    "IExecutionContext": [
        "active_optimization_profile",
        "execute_async_v3",
        "get_tensor_shape",
        "set_input_shape",
        "set_optimization_profile_async",
        "set_tensor_address",
    ],
}
USED_OF_RTX = {
    "ICudaEngine": ["create_runtime_config"],
    "IRuntimeConfig": ["create_runtime_cache", "cuda_graph_strategy", "set_runtime_cache"],
}


@pytest.mark.parametrize("age", sorted(RECORDED))
def test_every_call_exists_in_every_age(age: str) -> None:
    classes = {name: text.split() for name, text in RECORDED[age]["classes"].items()}
    used = USED_EVERYWHERE if age != "rtx-1.7" else {**USED_EVERYWHERE, **USED_OF_RTX}
    missing = [
        f"{kind}.{name}"
        for kind, names in used.items()
        for name in names
        if name not in classes[kind]
    ]
    assert not missing


def test_the_list_of_calls_is_complete() -> None:
    """Whatever the module asks of TensorRT's objects is in the lists above."""
    source = Path(runtime.backends.trt.engine.__file__).read_text(encoding="utf-8")
    known = {
        name for used in (USED_EVERYWHERE, USED_OF_RTX) for names in used.values() for name in names
    }
    called = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if of in ("engine", "_engine", "context", "_context", "config", "_runtime"):
                called.add(node.attr)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "_check":
            called.add(ast.literal_eval(node.args[0]))
    ours = {"failed", "facts", "input_name", "library", "output_name", "path"}
    assert called - known - ours == set()
    assert "execute_async_v3" in called


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
