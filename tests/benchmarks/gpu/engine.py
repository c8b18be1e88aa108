"""Common interface of the measured backends."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.gpu.plan import Plan

Bytes = NDArray[np.uint8]


class Engine(Protocol):
    """One model on one backend. All of them take and return uint8 NHWC, and compute in float16,
    or in INT8 if their name says so.
    """

    description: str
    """Library, device and versions."""

    def infer(self, tiles_nhwc: Bytes) -> Bytes:
        """Super-resolve a batch."""

    def engine_only(self, seconds: float) -> float:
        """Batches per second, with tiles and results in device memory."""

    def with_copies(self, seconds: float) -> float:
        """Batches per second, with tiles and results in host memory."""

    def rates(self, seconds: float) -> dict[str, float]:
        """Peak rates of the device in operations per second, by operation."""

    def close(self) -> None:
        """Free the device."""


def open_engine(backend: str, model: str, plan: Plan) -> Engine:
    """Open a model on a backend; imports only that backend's libraries."""
    if backend in ("torch", "torch.compile"):
        from tests.benchmarks.gpu.torch_engine import TorchEngine

        return TorchEngine(model, plan, compiled=backend == "torch.compile")
    if backend == "onnxruntime":
        from tests.benchmarks.gpu.ort_engine import OrtEngine

        return OrtEngine(model, plan)
    from tests.benchmarks.gpu.trt_engine import TrtEngine

    return TrtEngine(model, plan, "int8" if backend == "tensorrt.int8" else "fp16")
