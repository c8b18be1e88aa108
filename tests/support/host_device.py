"""A GPU whose memory is the host's: queued work is done at once, at real addresses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.cuda.device import CaptureRefused


class HostDevice:
    """Implements `runtime.backends.cuda.device.Device`."""

    def __init__(self, index: int = 0, *, free_bytes: int = 1 << 30) -> None:
        self.index = index
        self.closed = False
        self.living: set[object] = set()
        self._free_bytes = free_bytes

    @contextmanager
    def active(self) -> Iterator[None]:
        assert not self.closed
        yield

    def free_bytes(self) -> int:
        return self._free_bytes

    def new_stream(self) -> HostStream:
        return HostStream(self)

    def new_event(self) -> HostEvent:
        return HostEvent(self)

    def new_pinned(self, size_bytes: int) -> HostMemory:
        return HostMemory(self, size_bytes)

    def new_memory(self, size_bytes: int) -> HostMemory:
        return HostMemory(self, size_bytes)

    def close(self) -> None:
        assert not self.living, f"never freed: {self.living}"
        assert not self.closed
        self.closed = True


class _Owned:
    def __init__(self, device: HostDevice) -> None:
        self._device = device
        device.living.add(self)

    def free(self) -> None:
        self._device.living.remove(self)


class HostMemory(_Owned):
    """Page-locked and device memory in one."""

    def __init__(self, device: HostDevice, size_bytes: int) -> None:
        super().__init__(device)
        self.array: NDArray[np.uint8] = np.full(size_bytes, 77, np.uint8)
        self.address: int = self.array.ctypes.data


class HostEvent(_Owned):
    def is_done(self) -> bool:
        return True

    def wait(self) -> None: ...


class HostStream(_Owned):
    _handles = itertools.count(1)

    def __init__(self, device: HostDevice) -> None:
        super().__init__(device)
        self.handle = next(self._handles)

    def copy_in(self, target: Any, source: Any, size_bytes: int) -> None:
        target.array[:size_bytes] = source.array[:size_bytes]

    def copy_out(self, target: Any, source: Any, size_bytes: int) -> None:
        target.array[:size_bytes] = source.array[:size_bytes]

    def record(self, event: Any) -> None: ...

    def capture(self, work: Callable[[], None]) -> Any:
        raise CaptureRefused("the host records nothing")

    def launch(self, graph: Any) -> None:
        raise AssertionError("there are no graphs to launch")

    def wait(self) -> None: ...
