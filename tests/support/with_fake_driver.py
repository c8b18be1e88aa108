"""Runs in its own process, with a fake driver in place of NVIDIA's; see test_open.py."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from runtime.backends.cuda.device import CaptureRefused, Device
from runtime.backends.cuda.open import open_device
from runtime.backends.gpu import probe
from runtime.backends.trt.backend import TrtBackend
from runtime.errors import BackendError, OutOfDeviceMemory
from tests.support.fake_tensorrt import GPU, INFO, FakeTensorRT


def use_everything(device: Device, *, has_graphs: bool) -> None:
    with device.active():
        assert 0 < device.free_bytes() <= 1 << 24
        stream, event = device.new_stream(), device.new_event()
        assert stream.handle > 0
        assert event.is_done(), "it was never recorded"
        source, target = device.new_pinned(1000), device.new_pinned(1000)
        memory = device.new_memory(1000)
        source.array[:] = np.arange(1000) % 256
        target.array[:] = 0
        stream.copy_in(memory, source, 500)
        stream.copy_out(target, memory, 500)
        stream.record(event)
        assert not event.is_done(), "the fake driver says so once"
        assert event.is_done()
        event.wait()
        stream.wait()
        np.testing.assert_array_equal(target.array[:500], source.array[:500])
        assert not target.array[500:].any()

        def work() -> None:
            stream.copy_in(memory, source, 1000)
            stream.copy_out(target, memory, 1000)

        target.array[:] = 0
        if has_graphs:
            graph = stream.capture(work)
            assert not target.array.any(), "recorded, not done"
            for _ in range(2):
                target.array[:] = 0
                stream.launch(graph)
                stream.wait()
                np.testing.assert_array_equal(target.array, source.array)
            graph.free()
            refused(lambda: stream.capture(stream.wait), "CAPTURE_INVALIDATED")
            refused(lambda: stream.capture(fail), "not today")
        else:
            refused(lambda: stream.capture(work), "knows no CUDA graphs")
        work()
        stream.wait()
        np.testing.assert_array_equal(target.array, source.array)
        try:
            device.new_memory(1 << 40)
        except OutOfDeviceMemory as error:
            assert "close other programs" in str(error)  # noqa: PT017 - no pytest here
        else:
            raise AssertionError("there is no such memory")
        for thing in (event, source, target, memory, stream):
            thing.free()
    device.close()


def fail() -> None:
    raise BackendError("not today")


def refused(call: Any, reason: str) -> None:
    try:
        call()
    except CaptureRefused as error:
        assert reason in str(error), error  # noqa: PT017
    else:
        raise AssertionError("it was captured")


class CopyingContext:
    """An execution context of a network that changes nothing."""

    active_optimization_profile = 0

    def __init__(self, copy: Any) -> None:
        self._copy = copy
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shape

    def execute_async_v3(self, stream: int) -> bool:
        size = int(np.prod(self._shape))
        self._copy(self._addresses["output"], self._addresses["input"], size, stream)
        return True


def super_resolve(folder: Path, copy: Any) -> None:
    """The whole backend, with an engine of scale 1 that copies on the device."""
    tensorrt = FakeTensorRT(replace(INFO, scale=1))
    engine = SimpleNamespace(
        num_io_tensors=2,
        get_tensor_name=("input", "output").__getitem__,
        get_tensor_mode=lambda name: name,
        get_tensor_dtype=lambda name: "uint8",
        create_execution_context=lambda: CopyingContext(copy),
    )
    tensorrt.library.module.Runtime = lambda logger: SimpleNamespace(
        deserialize_cuda_engine=lambda plan: engine
    )
    file = tensorrt.engine_file(folder, tile_px=16, batch=4)
    said: list[str] = []
    tiles = np.random.default_rng(0).integers(0, 256, (60, 16, 12, 3)).astype(np.uint8)
    results: dict[int, Any] = {}
    with TrtBackend(file, tensorrt.library, open_device(0), GPU, say=said.append) as backend:
        for number, tile in enumerate(tiles):
            backend.submit(tile, partial(keep, results, number))
        backend.finish()
    np.testing.assert_array_equal([results[number] for number in range(60)], tiles)
    assert said == []


def keep(results: dict[int, Any], number: int, result: Any) -> None:
    results[number] = result.copy()


def others_run_while_one_waits(device: Device) -> None:
    """Decoders and encoders would stall otherwise."""
    os.environ["FAKE_CUDA_WAIT_MS"] = "500"
    turns = 0
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        nonlocal turns
        begun.set()
        while not done.is_set():
            turns += 1
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    with device.active():
        event = device.new_event()
        thread.start()
        begun.wait()
        before = turns
        event.wait()
        while_waiting = turns - before
        done.set()
        event.free()
    thread.join()
    del os.environ["FAKE_CUDA_WAIT_MS"]
    assert while_waiting > 5, f"another thread had {while_waiting} turns in half a second"


def main(package: str, folder: Path) -> None:
    (gpu,) = probe().gpus
    assert (gpu.name, gpu.sm, gpu.cuda_version) == ("Fake GPU", "sm86", "13.0")
    try:
        open_device(3)
    except BackendError as error:
        assert "cuDeviceGet failed" in str(error)  # noqa: PT017
    else:
        raise AssertionError("there is no GPU 3")
    use_everything(open_device(0), has_graphs=package == "cuda-bindings")
    others_run_while_one_waits(open_device(0))
    if package == "cuda-bindings":
        from cuda.bindings import driver

        def copy(*arguments: int) -> None:
            assert driver.cuMemcpyDtoDAsync(*arguments) == (driver.CUresult.CUDA_SUCCESS,)

        super_resolve(folder, copy)


main(sys.argv[1], Path(sys.argv[2]))
