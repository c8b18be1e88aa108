"""CUDA device over PyCUDA, for installations that already use it.

PyCUDA knows no graphs, so that work is queued piece by piece; see docs/decisions.md.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runtime.backends.cuda.device import CaptureRefused, Event, Graph, Memory, Pinned
from runtime.errors import BackendError, MissingDependency, OutOfDeviceMemory

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING, which PyCUDA does not name."""


_contexts: dict[int, Any] = {}
"""Primary contexts by CUDA device index, kept as in `bindings_device`."""

_contexts_lock = threading.Lock()


def load_pycuda() -> Any:
    """Import PyCUDA's driver API module (untyped).

    Raises:
        MissingDependency: pycuda is not installed.
        BackendError: there is no driver.
    """
    try:
        with warnings.catch_warnings():
            # What it warns of before it raises is said below.
            warnings.simplefilter("ignore")
            import pycuda.driver
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"this needs pycuda, which is not installed: pip install 'dggn[pycuda]' ({error})"
        ) from error
    except ImportError as error:  # it is linked with libcuda
        raise BackendError(
            f"pycuda cannot be loaded ({error}): is the NVIDIA driver installed? nvidia-smi "
            "shows it"
        ) from error
    return pycuda.driver


class PycudaDevice:
    """One GPU through PyCUDA.

    Args:
        index: CUDA device index.

    Raises:
        MissingDependency: pycuda is not installed.
        BackendError: there is no driver, or no such GPU.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self._driver = load_pycuda()
        with _translated(self._driver), _contexts_lock:
            self._driver.init()
            if index not in _contexts:
                _contexts[index] = self._driver.Device(index).retain_primary_context()
            self._context = _contexts[index]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the device current in the calling thread."""
        with _translated(self._driver):
            self._context.push()
        try:
            yield
        finally:
            self._driver.Context.pop()

    def free_bytes(self) -> int:
        """Return the free device memory in bytes."""
        with _translated(self._driver):
            free, _ = self._driver.mem_get_info()
        return int(free)

    def new_stream(self) -> _Stream:
        """Create a stream that does not synchronize with the default stream."""
        with _translated(self._driver):
            return _Stream(self._driver, self._driver.Stream(_NON_BLOCKING))

    def new_event(self) -> _Event:
        """Create an event whose waiters sleep instead of spinning."""
        kinds = self._driver.event_flags
        with _translated(self._driver):
            event = self._driver.Event(int(kinds.BLOCKING_SYNC) | int(kinds.DISABLE_TIMING))
        return _Event(self._driver, event)

    def new_pinned(self, size_bytes: int) -> _Pinned:
        """Allocate page-locked host memory."""
        with _translated(self._driver):
            array = self._driver.pagelocked_empty(
                size_bytes, np.uint8, mem_flags=self._driver.host_alloc_flags.PORTABLE
            )
        return _Pinned(array)

    def new_memory(self, size_bytes: int) -> _Memory:
        """Allocate device memory."""
        with _translated(self._driver):
            return _Memory(self._driver.mem_alloc(size_bytes))

    def close(self) -> None:
        """Do nothing: the primary context stays until the process ends."""


@contextmanager
def _translated(driver: Any) -> Iterator[None]:
    try:
        yield
    except driver.MemoryError as error:
        raise OutOfDeviceMemory(
            f"{error}: close other programs that use the GPU, or lower --tile"
        ) from error
    except driver.Error as error:
        raise BackendError(
            f"{error}. If it happens again, look for the GPU's own errors (Xid) in the system's "
            "log, and try --backend cpu"
        ) from error


class _Stream:
    def __init__(self, driver: Any, stream: Any) -> None:
        self._driver = driver
        self._stream = stream

    @property
    def handle(self) -> int:
        return int(self._stream.handle)

    def copy_in(self, target: Memory, source: Pinned, size_bytes: int) -> None:
        with _translated(self._driver):
            self._driver.memcpy_htod_async(target.address, source.array[:size_bytes], self._stream)

    def copy_out(self, target: Pinned, source: Memory, size_bytes: int) -> None:
        with _translated(self._driver):
            self._driver.memcpy_dtoh_async(target.array[:size_bytes], source.address, self._stream)

    def record(self, event: Event) -> None:
        with _translated(self._driver):
            cast(_Event, event).event.record(self._stream)

    def capture(self, work: Callable[[], None]) -> Graph:
        raise CaptureRefused("PyCUDA has no CUDA graphs: use cuda-bindings")

    def launch(self, graph: Graph) -> None:
        raise AssertionError("there are no graphs to launch")

    def wait(self) -> None:
        with _translated(self._driver):
            self._stream.synchronize()

    def free(self) -> None:
        self._stream = None  # its destructor gives it back


class _Event:
    def __init__(self, driver: Any, event: Any) -> None:
        self._driver = driver
        self.event = event

    def is_done(self) -> bool:
        with _translated(self._driver):
            return bool(self.event.query())

    def wait(self) -> None:
        with _translated(self._driver):
            self.event.synchronize()

    def free(self) -> None:
        self.event = None


class _Pinned:
    def __init__(self, array: NDArray[np.uint8]) -> None:
        self.array = array

    def free(self) -> None:
        cast(Any, self.array.base).free()


class _Memory:
    def __init__(self, allocation: Any) -> None:
        self._allocation = allocation
        self.address = int(allocation)

    def free(self) -> None:
        self._allocation.free()
