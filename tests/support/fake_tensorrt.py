"""A TensorRT that computes with a Python function, on the devices of `fake_cuda`.

It is as strict as the real one's documentation: a context must know shape and addresses,
must have run once with them before it is recorded, and must not change while a graph of it lives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.gpu import Gpu
from runtime.backends.trt.backend import EngineFile
from runtime.backends.trt.engine_cache import engine_name_prefix
from runtime.backends.trt.engine_facts import EngineFacts, Verification
from runtime.backends.trt.engine_file import write_engine
from runtime.backends.trt.library import Capabilities, Library
from runtime.backends.trt.messages import Messages
from runtime.backends.trt.request import EnginePrecision, EngineRequest
from runtime.model.info import ModelInfo, SampleType, file_sha256
from tests.support.fake_cuda import FakeDevice, active_device

Compute = Callable[[NDArray[Any]], NDArray[Any]]
"""From an engine's input to its output, both in its layout."""

GPU = Gpu(
    index=0,
    name="Fake GPU",
    compute_capability=(8, 6),
    memory_bytes=1 << 30,
    cuda_version="13.0",
)
INFO = ModelInfo(
    preset="nearest",
    scale=4,
    sample_type="uint8",
    size_multiple_px=4,
    halo_px=4,
    origin="a test",
)


def nearest(batch: NDArray[Any]) -> NDArray[Any]:
    """Repeat every pixel four by four times; NHWC or NCHW."""
    axes = (1, 2) if batch.shape[-1] == 3 else (2, 3)
    for axis in axes:
        batch = batch.repeat(4, axis=axis)
    return batch


class FakeContext:
    def __init__(self, engine: FakeEngine, device: FakeDevice) -> None:
        self.engine = engine
        self.device = device
        self.active_optimization_profile = 0 if not engine.contexts else -1
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] | None = None
        self.changes = 0
        self.ran = False
        engine.contexts += 1

    def __del__(self) -> None:
        self.engine.tensorrt.orphans += not set(self.addresses.values()) <= set(self.device.memory)
        self.device.used_bytes -= self.engine.tensorrt.context_bytes

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        assert FakeDevice.by_handle[stream].device is self.device
        self._change()
        if profile >= self.engine.tensorrt.profiles:
            return self.engine.tensorrt.refuse("profile index out of range")
        self.active_optimization_profile = profile
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert name in ("input", "output")
        assert address in self.device.memory
        self._change()
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "input"
        assert self.active_optimization_profile >= 0
        self._change()
        self.shape = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> list[int]:
        assert self.shape is not None
        if name == "input":
            return list(self.shape)
        scale = self.engine.tensorrt.scale
        batch, a, b, c = self.shape
        return [batch, scale * a, scale * b, c] if c == 3 else [batch, a, scale * b, scale * c]

    def execute_async_v3(self, handle: int) -> bool:
        tensorrt = self.engine.tensorrt
        stream = FakeDevice.by_handle[handle]
        assert active_device() is self.device is stream.device
        assert stream.recording is None or self.ran, "recorded before it ran once"
        tensorrt.runs += 1
        if tensorrt.runs in tensorrt.out_of_memory_at:
            return tensorrt.refuse("Cuda Runtime (out of memory)")
        if tensorrt.runs in tensorrt.refuses_at:
            return tensorrt.refuse("[enqueue] internal error")
        assert self.shape is not None
        shape, changes = self.shape, self.changes
        kind = np.uint8 if self.engine.sample_type == "uint8" else np.float32

        def compute() -> None:
            assert changes == self.changes, "the context changed since this was recorded"
            memory = self.device.memory
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            batch = memory[self.addresses["input"]][:size].view(kind).reshape(shape)
            result = np.ascontiguousarray(tensorrt.compute(batch)).astype(kind, copy=False)
            memory[self.addresses["output"]][: result.nbytes] = result.reshape(-1).view(np.uint8)

        stream.add(compute)
        self.ran = True
        return True

    def _change(self) -> None:
        self.changes += 1
        self.ran = False


class FakeEngine:
    num_io_tensors = 2

    def __init__(self, tensorrt: FakeTensorRT, sample_type: str) -> None:
        self.tensorrt = tensorrt
        self.sample_type = sample_type
        self.contexts = 0

    def get_tensor_name(self, number: int) -> str:
        return ("input", "output")[number]

    def get_tensor_mode(self, name: str) -> str:
        return name

    def get_tensor_dtype(self, name: str) -> str:
        return "uint8" if self.sample_type == "uint8" else "float"

    def create_runtime_config(self) -> Any:
        return self.tensorrt.config

    def create_execution_context(self, config: Any = None) -> FakeContext | None:
        assert config is self.tensorrt.config
        device = active_device()
        size = self.tensorrt.context_bytes
        if device.used_bytes + size > device.memory_bytes:
            self.tensorrt.refuse("[virtualMemoryBuffer.cpp] OutOfMemory: Requested size was 1 GB")
            return None
        device.used_bytes += size
        return FakeContext(self, device)


class FakeTensorRT:
    """A fake package, and its behaviour.

    Args:
        info: of the model of all its engines.
        compute: what engines compute.
        context_bytes: what an execution context needs.
        profiles: that engines have.
        rtx: whether it is TensorRT-RTX.
    """

    def __init__(
        self,
        info: ModelInfo = INFO,
        compute: Compute = nearest,
        *,
        context_bytes: int = 1000,
        profiles: int = 1,
        rtx: bool = False,
    ) -> None:
        self.info = info
        self.scale = info.scale
        self.sample_type: SampleType = info.sample_type
        self.compute = compute
        self.context_bytes = context_bytes
        self.profiles = profiles
        self.runs = 0
        self.orphans = 0
        """Contexts that outlived the memory they were bound to."""
        self.out_of_memory_at: set[int] = set()
        self.refuses_at: set[int] = set()
        self.loads = True
        self.messages = Messages()
        self.config = SimpleNamespace(cuda_graph_strategy="disabled") if rtx else None
        module = SimpleNamespace(
            Runtime=self._runtime,
            DataType=SimpleNamespace(UINT8="uint8", FLOAT="float"),
            TensorIOMode=SimpleNamespace(INPUT="input", OUTPUT="output"),
        )
        if rtx:
            module.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole graph")
        self.library = Library(
            flavor="tensorrt-rtx" if rtx else "tensorrt",
            version="1.7" if rtx else "10.14",
            module=module,
            capabilities=CAPABILITIES if not rtx else replace(CAPABILITIES, runtime_config=True),
            messages=self.messages,
            logger=object(),
        )

    def refuse(self, reason: str) -> bool:
        self.messages.add("error", reason)
        return False

    def _runtime(self, logger: object) -> Any:
        active_device()

        def deserialize(plan: bytes) -> FakeEngine | None:
            assert plan.startswith(b"plan")
            if self.loads:
                return FakeEngine(self, plan.split()[1].decode())
            self.refuse("the engine was made by another version")
            return None

        return SimpleNamespace(deserialize_cuda_engine=deserialize)

    def engine_file(
        self,
        folder: Path,
        *,
        tile_px: int = 16,
        batch: int = 4,
        verified: bool = True,
        onnx: Path | None = None,
        precision: EnginePrecision = "fp16",
        sample_type: SampleType | None = None,
    ) -> EngineFile:
        """An engine on the disk."""
        kind = sample_type or self.sample_type
        plan = b"plan %s %d %d" % (kind.encode(), tile_px, batch)
        facts = EngineFacts(
            onnx_sha256=file_sha256(onnx) if onnx else "0" * 64,
            onnx_name=onnx.name if onnx else "nearest.onnx",
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            plan_bytes=len(plan),
            request=EngineRequest(
                flavor=self.library.flavor,
                precision=precision,
                sample_type=kind,
                tile_px=tile_px,
                batch=batch,
                targets=("sm86",),
            ),
            precision=precision,
            tile_px=tile_px,
            batch=batch,
            library_version=self.library.version,
            gpu_name=GPU.name,
            cuda_version=GPU.cuda_version,
            least_px=self.info.size_multiple_px,
            profiles=self.profiles,
            info=replace(self.info, sample_type=kind),
            largest_activation=None,
            verification=VERIFIED if verified else None,
        )
        stem = Path(facts.onnx_name).stem
        path = folder / f"{engine_name_prefix(stem, precision, kind)}{tile_px}-{batch}.engine"
        write_engine(path, plan, facts)
        return EngineFile(path=path, facts=facts)


CAPABILITIES = Capabilities(
    strong_types=True,
    explicit_batch=False,
    precision_flags=False,
    shared_profiles=True,
    profile_sharing_preview=False,
    progress=True,
    compute_capabilities=False,
    runtime_config=False,
    optimization_level=True,
    largest_opset=19,
)
VERIFIED = Verification(psnr_db=60.0, within_one_level=1.0, largest_difference=1.0, samples=100)
