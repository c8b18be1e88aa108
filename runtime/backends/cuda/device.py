"""The small part of CUDA that the runtime needs, as a protocol.

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
    """Work could not be recorded as a graph; the stream can be used on, and the work be redone."""


class Pinned(Protocol):
    """Page-locked memory of the host, which the device reads and writes by itself."""

    @property
    def array(self) -> NDArray[np.uint8]:
        """All of it: one axis, bytes; not to be used after `free`."""

    def free(self) -> None:
        """Give it back."""


class Memory(Protocol):
    """Memory of the device."""

    @property
    def address(self) -> int:
        """Its address on the device."""

    def free(self) -> None:
        """Give it back."""


class Event(Protocol):
    """A point in a stream."""

    def is_done(self) -> bool:
        """Whether the stream has got there; true for one that was never recorded.

        Raises:
            BackendError: work before it failed.
        """

    def wait(self) -> None:
        """Let this thread sleep until the stream gets there.

        Raises:
            BackendError: work before it failed.
        """

    def free(self) -> None:
        """Give it back."""


class Graph(Protocol):
    """Recorded work."""

    def free(self) -> None:
        """Give it back."""


class Stream(Protocol):
    """A queue of work for the device. Calls return before the work is done."""

    @property
    def handle(self) -> int:
        """Raw handle, for libraries that queue work of their own."""

    def copy_in(self, target: Memory, source: Pinned, size_bytes: int) -> None:
        """Copy the first bytes to the device."""

    def copy_out(self, target: Pinned, source: Memory, size_bytes: int) -> None:
        """Copy the first bytes from the device."""

    def record(self, event: Event) -> None:
        """Let the event mark what has been queued so far."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """Record what `work` queues on this stream, without doing it.

        Raises:
            CaptureRefused: something in it cannot be recorded.
        """

    def launch(self, graph: Graph) -> None:
        """Queue recorded work."""

    def wait(self) -> None:
        """Let this thread sleep until everything queued is done.

        Raises:
            BackendError: some of it failed.
        """

    def free(self) -> None:
        """Give it back."""


class Device(Protocol):
    """One GPU. Methods raise `BackendError` with CUDA's own words, `OutOfDeviceMemory` included."""

    @property
    def index(self) -> int:
        """CUDA device index."""

    def active(self) -> AbstractContextManager[None]:
        """Use the device in the calling thread; what the thread used before comes back after."""

    def free_bytes(self) -> int:
        """Memory that nobody uses now."""

    def new_stream(self) -> Stream:
        """A stream that waits for no other."""

    def new_event(self) -> Event:
        """An event."""

    def new_pinned(self, size_bytes: int) -> Pinned:
        """Page-locked memory of the host."""

    def new_memory(self, size_bytes: int) -> Memory:
        """Memory of the device."""

    def close(self) -> None:
        """Let go of the device; the last thing to be called. Its primary context stays."""
