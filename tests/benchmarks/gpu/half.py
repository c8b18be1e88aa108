"""The graph for ONNX Runtime: bytes in and out, and float16 inside on a GPU."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.gpu.plan import NotMeasured, Plan


def byte_graph(plan: Plan, model: str) -> Path:
    """Return its file, converted like the graphs of engines.

    Raises:
        NotMeasured: the conversion cannot be imported.
    """
    source = plan.work / f"{model}-bytes.onnx"
    if plan.dry_run:
        return source
    if find_spec("onnx") is None:
        raise NotMeasured("onnx is not installed, with which the graph is converted to float16")
    import onnx

    half, islands = (import_module(f"export.trt.passes.{name}") for name in ("half", "islands"))
    fold = import_module("dggn.onnx_graph.fold")
    graph = onnx.load(source)
    half.to_half(graph, islands.float32_nodes(graph))
    fold.drop_unread(graph)
    path = plan.work / f"{model}-bytes-half.onnx"
    onnx.save(graph, path)
    return path
