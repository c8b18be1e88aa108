"""Builds engines for the sake of their build log."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from dggn.onnx_graph.source import SourceModel
from export.trt.builder.plan import Graph, build_plan
from export.trt.passes.assemble import tensorrt_graph
from export.trt.traffic.kernels import Traffic
from export.trt.traffic.log import read_log
from runtime.backends.trt.library import Library
from runtime.backends.trt.messages import SEVERITIES
from runtime.backends.trt.request import EngineRequest

TARGET = "sm89"
TILE_PX = 256


def measure_traffic(source: SourceModel, library: Library, *, tile_px: int = TILE_PX) -> Traffic:
    """Build an engine as dggn-run uses it (mixed precision, bytes in and out), and read the log.

    One tile a batch, of one size, for SM89; it takes seconds, and needs no GPU.

    Args:
        source: the float32 model.
        library: TensorRT-RTX.
        tile_px: input pixels per side.

    Raises:
        ConfigError: the model is quantized, or takes bytes.
        ModelError: TensorRT refuses the graph.
        BackendError: the build fails, or its log has no kernels.
    """
    log: list[str] = []
    request = EngineRequest(
        flavor=library.flavor,
        precision="fp16",
        sample_type="uint8",
        tile_px=tile_px,
        batch=1,
        targets=(TARGET,),
    )
    model = tensorrt_graph(
        source,
        precision=request.precision,
        sample_type=request.sample_type,
        capabilities=library.capabilities,
    )
    build_plan(
        replace(library, logger=_recorder(library, log)),
        Graph(content=model.SerializeToString(), least_px=tile_px),
        request,
        detailed=True,
        on_progress=lambda what, share: None,
        cancelled=threading.Event(),
    )
    return read_log(log, tile_px=tile_px, scale=source.info.scale)


def _recorder(library: Library, log: list[str]) -> Any:
    """Create a logger that keeps everything, and forwards failure reasons to the library's own."""
    module = library.module

    class Recorder(module.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            log.append(text)
            library.messages.add(SEVERITIES[int(severity)], text)

    return Recorder()
