"""A simulated machine with GPUs and TensorRT, whose engines compute with ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.gpu import Gpu
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.backends.select import open_backend
from runtime.backends.trt.request import EngineRequest
from runtime.model.info import model_path
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_tensorrt import GPU, FakeTensorRT

LITE = model_path("dggn-lite")
TILE_PX = 64


class Machine:
    """A machine with GPUs; engines compute with ONNX Runtime."""

    def __init__(self, cache: Path, reference: OrtBackend) -> None:
        self.reference = reference
        self.info = replace(reference.info, sample_type="uint8")
        self.tensorrt = FakeTensorRT(self.info, self.compute)
        self.cache = cache / "engines"
        self.cache.mkdir()
        self.gpus: list[Gpu] = [GPU]
        self.devices = {0: FakeDevice(0), 1: FakeDevice(1)}
        self.said: list[str] = []
        self.built_of: list[Path] = []
        self.requests: list[EngineRequest] = []

    def compute(self, batch: NDArray[Any]) -> NDArray[Any]:
        if batch.dtype == np.uint8:
            return np.concatenate([self.reference.run(one[None]) for one in batch])
        return np.concatenate([self.reference._infer(one[None]) for one in batch])

    def engine(self, **options: Any) -> Path:
        """Put an engine of dggn-lite into the cache."""
        options = {"tile_px": TILE_PX, "onnx": LITE, **options}
        return self.tensorrt.engine_file(self.cache, **options).path

    def build(self, onnx: Path, request: EngineRequest, gpu: Gpu) -> Path:
        """Build an engine as `dggn-export trt` does."""
        assert request.targets == (gpu.sm,)
        self.built_of.append(onnx)
        self.requests.append(request)
        return self.engine(
            tile_px=request.tile_px,
            batch=request.batch,
            precision=request.precision,
            sample_type=request.sample_type,
        )

    def open(self, **options: Any) -> tuple[Any, str]:
        return open_backend(
            LITE, BackendRequest(**{"tile_px": TILE_PX, "say": self.said.append, **options})
        )
