"""The small part of CUDA that the runtime needs, as protocols.

`bindings_device` and `pycuda_device` beside it implement it; tests have a device that exists in
memory only. All of it happens in the device's primary context, which PyTorch, CuPy and PyCUDA in
the same process share.

Objects are freed by `free`, in any order, before their device is closed; each once. Everything
but `active` needs the device to be active in the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError


class CaptureRefused(BackendError):
    """Raised when work cannot be captured as a graph; the stream stays usable."""


class Pinned(Protocol):
    """Page-locked host memory, which the device reads and writes directly."""

    @property
    def array(self) -> NDArray[np.uint8]:
        """The whole buffer as a byte array with one axis; invalid after `free`."""

    def free(self) -> None:
        """Free the memory."""


class Memory(Protocol):
    """Device memory."""

    @property
    def address(self) -> int:
        """Device address."""

    def free(self) -> None:
        """Free the memory."""


class Event(Protocol):
    """A marker in a stream."""

    def is_done(self) -> bool:
        """Return whether the stream has reached the event; true if it was never recorded.

        Raises:
            BackendError: work before it failed.
        """

    def wait(self) -> None:
        """Block until the stream reaches the event; the thread sleeps.

        Raises:
            BackendError: work before it failed.
        """

    def free(self) -> None:
        """Destroy the event."""


class Graph(Protocol):
    """A captured graph of work."""

    def free(self) -> None:
        """Destroy the graph."""


class Stream(Protocol):
    """A queue of device work. Calls return before the work is done."""

    @property
    def handle(self) -> int:
        """Raw stream handle, for libraries that enqueue work of their own."""

    def copy_in(self, target: Memory, source: Pinned, size_bytes: int) -> None:
        """Copy the first `size_bytes` bytes to the device."""

    def copy_out(self, target: Pinned, source: Memory, size_bytes: int) -> None:
        """Copy the first `size_bytes` bytes from the device."""

    def record(self, event: Event) -> None:
        """Record the event after the work queued so far."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """Capture the work that `work` queues on this stream, without running it.

        Raises:
            CaptureRefused: something in it cannot be recorded.
        """

    def launch(self, graph: Graph) -> None:
        """Launch a captured graph."""

    def wait(self) -> None:
        """Block until all queued work is done; the thread sleeps.

        Raises:
            BackendError: some of it failed.
        """

    def free(self) -> None:
        """Destroy the stream."""


class Device(Protocol):
    """One GPU. Methods raise `BackendError` with CUDA's message, including `OutOfDeviceMemory`."""

    @property
    def index(self) -> int:
        """CUDA device index."""

    def active(self) -> AbstractContextManager[None]:
        """Make the device current in the calling thread; restore the previous one afterwards."""

    def free_bytes(self) -> int:
        """Return the free device memory in bytes."""

    def new_stream(self) -> Stream:
        """Create a stream that does not synchronize with the default stream."""

    def new_event(self) -> Event:
        """Create an event."""

    def new_pinned(self, size_bytes: int) -> Pinned:
        """Allocate page-locked host memory."""

    def new_memory(self, size_bytes: int) -> Memory:
        """Allocate device memory."""

    def close(self) -> None:
        """Let go of the device; the last thing to be called. Its primary context stays."""
