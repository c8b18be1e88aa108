from __future__ import annotations

import ast
from pathlib import Path

import pytest

import runtime.backends.trt.engine
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
    """Everything that the module uses of TensorRT's objects is in the lists above."""
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
