"""CUDA device over `cuda-bindings`, NVIDIA's Python package for the driver API.

Only functions whose Python signatures are the same in versions 12 and 13 are used.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runtime.backends.cuda.device import CaptureRefused, Event, Graph, Memory, Pinned
from runtime.errors import BackendError, MissingDependency, OutOfDeviceMemory

_contexts: dict[int, Any] = {}
"""Primary contexts by CUDA device index, retained until the process ends.

The last release of a primary context destroys it, with everything that other libraries of the
process, or objects that Python has not collected yet, still have in it.
"""

_contexts_lock = threading.Lock()


def load_cuda_bindings() -> Any:
    """Import the driver API module (untyped).

    Raises:
        MissingDependency: cuda-bindings is not installed.
    """
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise MissingDependency(
            "this needs cuda-bindings, which is not installed: pip install 'dggn[trt]' or "
            f"'dggn[rtx]' ({error})"
        ) from error
    return driver


class BindingsDevice:
    """One GPU through `cuda-bindings`.

    Args:
        index: CUDA device index.

    Raises:
        MissingDependency: cuda-bindings is not installed.
        BackendError: there is no driver, or no such GPU.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self._cuda = _Cuda(load_cuda_bindings())
        self._cuda.call("cuInit", 0)
        with _contexts_lock:
            if index not in _contexts:
                device = self._cuda.call("cuDeviceGet", index)
                _contexts[index] = self._cuda.call("cuDevicePrimaryCtxRetain", device)
            self._context = _contexts[index]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the device current in the calling thread."""
        self._cuda.call("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            self._cuda.attempt("cuCtxPopCurrent")

    def free_bytes(self) -> int:
        """Return the free device memory in bytes."""
        free, _ = self._cuda.call("cuMemGetInfo")
        return int(free)

    def new_stream(self) -> BindingsStream:
        """Create a stream that does not synchronize with the default stream."""
        flags = self._cuda.driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        return BindingsStream(self._cuda, self._cuda.call("cuStreamCreate", int(flags)))

    def new_event(self) -> _Event:
        """Create an event whose waiters sleep instead of spinning."""
        kinds = self._cuda.driver.CUevent_flags
        flags = int(kinds.CU_EVENT_BLOCKING_SYNC) | int(kinds.CU_EVENT_DISABLE_TIMING)
        return _Event(self._cuda, self._cuda.call("cuEventCreate", flags))

    def new_pinned(self, size_bytes: int) -> _Pinned:
        """Allocate page-locked host memory."""
        # CU_MEMHOSTALLOC_PORTABLE, a macro in C: other devices know it as page-locked, too.
        return _Pinned(self._cuda, self._cuda.call("cuMemHostAlloc", size_bytes, 1), size_bytes)

    def new_memory(self, size_bytes: int) -> _Memory:
        """Allocate device memory."""
        return _Memory(self._cuda, self._cuda.call("cuMemAlloc", size_bytes))

    def close(self) -> None:
        """Do nothing: the primary context stays until the process ends."""


class _Cuda:
    """Driver calls that raise exceptions for error codes."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function and return its result.

        Returns:
            What it returns beside the status: nothing, a value or a tuple.

        Raises:
            BackendError: it failed.
        """
        status, *values = self._raw(name, *arguments)
        if int(status):
            raise self.error(name, status)
        return values[0] if len(values) == 1 else tuple(values)

    def status(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """Call a function and return its status too."""
        return tuple(self._raw(name, *arguments))

    def attempt(self, name: str, *arguments: Any) -> None:
        """Call a function during clean-up, where errors are ignored.

        After a failure on the device each such call reports that failure once more; who caused
        it has it already, and nothing can be done about it here.
        """
        self._raw(name, *arguments)

    def text(self, name: str, status: Any) -> str:
        """Describe a status in CUDA's own words."""
        code, text = (
            value.decode() if value else "unknown"
            for _, value in (
                self.driver.cuGetErrorName(status),
                self.driver.cuGetErrorString(status),
            )
        )
        return f"{name} failed: {code}, {text}"

    def error(self, name: str, status: Any) -> BackendError:
        """Return the exception for a status."""
        message = self.text(name, status)
        if "CUDA_ERROR_OUT_OF_MEMORY" in message:
            return OutOfDeviceMemory(
                f"{message}: close other programs that use the GPU, or lower --tile"
            )
        if "CUDA_ERROR_INVALID_DEVICE" in message:
            return BackendError(f"{message}: nvidia-smi lists the GPUs there are")
        return BackendError(
            f"{message}. If it happens again, look for the GPU's own errors (Xid) in the "
            "system's log, and try --backend cpu"
        )

    def _raw(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self.driver, name)(*arguments)
        except RuntimeError as error:  # no libcuda, or one too old to know the function
            raise BackendError(
                f"{name} cannot be called ({error}): is an NVIDIA driver for CUDA 12 or newer "
                "installed? nvidia-smi shows it"
            ) from error


class BindingsStream:
    """A CUDA stream, created by :class:`BindingsDevice`."""

    def __init__(self, cuda: _Cuda, stream: Any) -> None:
        self._cuda = cuda
        self._stream = stream

    @property
    def handle(self) -> int:
        """Raw stream handle, for libraries that enqueue work of their own."""
        return int(self._stream)

    def copy_in(self, target: Memory, source: Pinned, size_bytes: int) -> None:
        """Copy the first `size_bytes` bytes to the device."""
        host = cast(_Pinned, source).pointer
        self._cuda.call("cuMemcpyHtoDAsync", target.address, host, size_bytes, self._stream)

    def copy_out(self, target: Pinned, source: Memory, size_bytes: int) -> None:
        """Copy the first `size_bytes` bytes from the device."""
        host = cast(_Pinned, target).pointer
        self._cuda.call("cuMemcpyDtoHAsync", host, source.address, size_bytes, self._stream)

    def record(self, event: Event) -> None:
        """Record the event after the work queued so far."""
        self._cuda.call("cuEventRecord", cast(_Event, event).event, self._stream)

    def capture(self, work: Callable[[], None]) -> _Graph:
        """Capture the work that `work` queues."""
        # Other threads, of other devices for example, are not to be disturbed.
        mode = self._cuda.driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._cuda.call("cuStreamBeginCapture", self._stream, mode)
        problem = ""
        try:
            work()
        except BackendError as error:
            problem = str(error)
        finally:
            status, graph = self._cuda.status("cuStreamEndCapture", self._stream)
        # A call that spoils the capture fails itself, often with less to say.
        if int(status):
            raise CaptureRefused(problem or self._cuda.text("cuStreamEndCapture", status))
        try:
            if problem:
                raise CaptureRefused(problem)
            status, *executable = self._cuda.status("cuGraphInstantiate", graph, 0)
            if int(status):
                raise CaptureRefused(self._cuda.text("cuGraphInstantiate", status))
            return _Graph(self._cuda, executable[0])
        finally:
            self._cuda.attempt("cuGraphDestroy", graph)

    def launch(self, graph: Graph) -> None:
        """Launch a captured graph."""
        self._cuda.call("cuGraphLaunch", cast(_Graph, graph).executable, self._stream)

    def wait(self) -> None:
        """Block until all queued work is done; the thread sleeps."""
        self._cuda.call("cuStreamSynchronize", self._stream)

    def free(self) -> None:
        """Destroy the stream."""
        self._cuda.attempt("cuStreamDestroy", self._stream)


class _Event:
    def __init__(self, cuda: _Cuda, event: Any) -> None:
        self._cuda = cuda
        self.event = event

    def is_done(self) -> bool:
        (status,) = self._cuda.status("cuEventQuery", self.event)
        if status == self._cuda.driver.CUresult.CUDA_ERROR_NOT_READY:
            return False
        if int(status):
            raise self._cuda.error("cuEventQuery", status)
        return True

    def wait(self) -> None:
        self._cuda.call("cuEventSynchronize", self.event)

    def free(self) -> None:
        self._cuda.attempt("cuEventDestroy", self.event)


class _Pinned:
    def __init__(self, cuda: _Cuda, pointer: int, size_bytes: int) -> None:
        self._cuda = cuda
        self.pointer = pointer
        memory = (ctypes.c_uint8 * size_bytes).from_address(pointer)
        self.array: NDArray[np.uint8] = np.ctypeslib.as_array(memory)

    def free(self) -> None:
        self._cuda.attempt("cuMemFreeHost", self.pointer)


class _Memory:
    def __init__(self, cuda: _Cuda, pointer: Any) -> None:
        self._cuda = cuda
        self.address = int(pointer)

    def free(self) -> None:
        self._cuda.attempt("cuMemFree", self.address)


class _Graph:
    def __init__(self, cuda: _Cuda, executable: Any) -> None:
        self._cuda = cuda
        self.executable = executable

    def free(self) -> None:
        self._cuda.attempt("cuGraphExecDestroy", self.executable)
