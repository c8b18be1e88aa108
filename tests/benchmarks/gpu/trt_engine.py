"""TensorRT, through the runtime's own backend; in a dry run ONNX Runtime takes its place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runtime.backends.cuda.device import CaptureRefused
from runtime.tiles.backend import Backend
from tests.benchmarks.gpu.engine import Bytes
from tests.benchmarks.gpu.plan import INT8_NAME, SCALE, NotMeasured, Plan
from tests.benchmarks.gpu.timing import per_second


class TrtEngine:
    """An engine that `dggn-export trt` builds, verified before it is measured.

    Args:
        model: its name.
        plan: of the measurement.
        precision: of the engine.
    """

    def __init__(self, model: str, plan: Plan, precision: Literal["fp16", "int8"] = "fp16") -> None:
        self._plan = plan
        self._tiles = np.load(plan.work / "tiles.npy")
        self._owned = ExitStack()
        source = plan.work / (INT8_NAME if precision == "int8" else f"{model}-bytes.onnx")
        if not source.exists():
            raise NotMeasured("no INT8 version of the model was given: --int8 names one")
        self._engine_only: Callable[[float], float] | None = None
        if plan.dry_run:
            from runtime.backends.onnxruntime import OrtBackend

            self._backend: Backend = self._owned.enter_context(OrtBackend(source, threads=1))
            self.description = f"{self._backend.description}, in TensorRT's place"
        else:
            installed = _Installed(source, plan, precision)
            self._engine_only = installed.engine_only
            self._backend = self._owned.enter_context(installed.backend())
            self.description = self._backend.description

    def infer(self, tiles_nhwc: Bytes) -> Bytes:
        """Super-resolve a batch, delivering each tile when it is done."""
        count, height, width, _ = tiles_nhwc.shape
        results = np.empty((count, SCALE * height, SCALE * width, 3), np.uint8)
        for tile, result in zip(tiles_nhwc, results, strict=True):
            self._backend.submit(tile, partial(np.copyto, result))
        self._backend.finish()
        return results

    def engine_only(self, seconds: float) -> float:
        """Batches per second of an engine whose buffers stay on the device."""
        if self._engine_only is None:
            # The stand-in has no device memory to keep tiles in.
            return self.with_copies(seconds)
        return self._engine_only(seconds)

    def with_copies(self, seconds: float) -> float:
        """Batches per second through the runtime's slots."""

        def submit() -> None:
            for tile in self._tiles:
                self._backend.submit(tile, lambda result: None)

        return per_second(submit, self._backend.finish, seconds)

    def rates(self, seconds: float) -> dict[str, float]:
        """Not available through this library."""
        raise NotMeasured("rates of the device are measured with PyTorch")

    def close(self) -> None:
        """Free the device."""
        self._owned.close()


class _Installed:
    """The installed TensorRT, and an engine that it built.

    Args:
        source: ONNX file with bytes in and out.
        plan: of the measurement.
        precision: of the engine.
    """

    def __init__(self, source: Path, plan: Plan, precision: str) -> None:
        self._plan = plan
        command = import_module("export.trt.command")
        self._gpu = import_module("runtime.backends.gpu").require_gpu(0)
        self._library = import_module("runtime.backends.trt.library").find_library()
        request = import_module("runtime.backends.trt.request").EngineRequest(
            flavor=self._library.flavor,
            precision=precision,
            sample_type="uint8",
            tile_px=plan.tile_px,
            batch=plan.batch,
            targets=(self._gpu.sm,),
        )
        terminal = import_module("runtime.system.terminal")
        with terminal.show_progress(transient=True) as (say, on_progress):
            built = command.build_or_reuse(
                command.read_model(source, request.flavor),
                request,
                self._gpu,
                output=source.with_suffix(".engine"),
                say=say,
                on_progress=on_progress,
            )
        self._facts = built.facts
        self._path = built.path

    def backend(self) -> Backend:
        """The engine that `dggn-run` uses."""
        module = import_module("runtime.backends.trt.backend")
        file = module.EngineFile(path=self._path, facts=self._facts)
        backend: Backend = module.TrtBackend(
            file, self._library, self._device(), self._gpu, say=print
        )
        return backend

    def engine_only(self, seconds: float) -> float:
        """Batches per second in as many contexts as the backend has slots, without copies."""
        slots: int = import_module("runtime.backends.trt.backend").DEFAULT_SLOTS
        slots = slots if self._facts.profiles == 1 else min(slots, self._facts.profiles)
        module = import_module("runtime.backends.trt.engine")
        device = self._device()
        with device.active():
            engine = module.Engine(self._library, self._path, self._facts)
            tiles = np.load(self._plan.work / "tiles.npy")
            lanes = [
                _Lane(device, engine.execution(number), self._plan, tiles)
                for number in range(slots)
            ]

            def queue() -> None:
                for lane in lanes:
                    lane.queue()

            def wait() -> None:
                for lane in lanes:
                    lane.stream.wait()

            rate = slots * per_second(queue, wait, seconds)
            for lane in lanes:
                lane.free()
            engine.close()
        device.close()
        return rate

    def _device(self) -> Any:
        return import_module("runtime.backends.cuda.open").open_device(0)


class _Lane:
    """An execution context with a stream and buffers of its own.

    Args:
        device: active.
        execution: the context.
        plan: of the measurement.
        tiles: its batch, which is computed again and again: what memory holds by chance may be
            quicker, or no number.
    """

    def __init__(self, device: Any, execution: Any, plan: Plan, tiles: Bytes) -> None:
        samples = tiles.size
        self._execution = execution
        self._memory = [device.new_memory(size) for size in (samples, samples * SCALE**2)]
        self._pinned = device.new_pinned(samples)
        self._pinned.array[:] = tiles.reshape(-1)
        self.stream = device.new_stream()
        self.stream.copy_in(self._memory[0], self._pinned, samples)
        execution.bind(self.stream, *(memory.address for memory in self._memory))
        execution.reshape((plan.batch, plan.tile_px, plan.tile_px))
        execution.enqueue()
        self.stream.wait()
        self._graph: Any = None
        if not execution.captures_itself:
            # If recording fails, the backend also continues without it.
            with suppress(CaptureRefused):
                self._graph = self.stream.capture(execution.enqueue)

    def queue(self) -> None:
        """Queue a batch."""
        if self._graph is None:
            self._execution.enqueue()
        else:
            self.stream.launch(self._graph)

    def free(self) -> None:
        """Free everything."""
        if self._graph is not None:
            self._graph.free()
        self._execution.free()
        for memory in (*self._memory, self._pinned):
            memory.free()
        self.stream.free()
