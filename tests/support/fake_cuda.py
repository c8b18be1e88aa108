"""A simulated GPU: works late, in any order, and fails on demand."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.cuda.device import CaptureRefused
from runtime.errors import BackendError, OutOfDeviceMemory

Operation = Callable[[], None]
_active = threading.local()


def active_device() -> FakeDevice:
    """The active device of this thread."""
    stack: list[FakeDevice] = getattr(_active, "stack", [])
    assert stack, "no device is active in this thread"
    return stack[-1]


class FakeDevice:
    """Implements `runtime.backends.cuda.device.Device`.

    Args:
        index: of the GPU.
        memory_bytes: how much it has.
        choose: given how many streams have work, tells which goes on, whenever the host looks;
            None to do nothing before somebody waits.
        graphs: whether work can be captured.
    """

    _handles = itertools.count(0x1000, 0x10)
    by_handle: dict[int, FakeStream] = {}  # noqa: RUF012 - streams of all devices

    def __init__(
        self,
        index: int = 0,
        *,
        memory_bytes: int = 1 << 30,
        choose: Callable[[int], int | None] = lambda count: None,
        graphs: bool = True,
    ) -> None:
        self.index = index
        self.memory_bytes = memory_bytes
        self.choose = choose
        self.graphs = graphs
        self.used_bytes = 0
        self.memory: dict[int, NDArray[np.uint8]] = {}
        self.streams: list[FakeStream] = []
        self.living: set[object] = set()
        self.allocations = self.graph_count = self.waits = self.operations = 0
        self.graph_launches = self.records = 0
        self.fails_at: int | None = None
        self.failure: BackendError | None = None
        self.closed = False
        self.on_wait: Callable[[], None] = lambda: None

    @contextmanager
    def active(self) -> Iterator[None]:
        assert not self.closed
        stack = _active.__dict__.setdefault("stack", [])
        stack.append(self)
        try:
            yield
        finally:
            assert stack.pop() is self

    def check(self) -> None:
        assert active_device() is self
        if self.failure:
            raise self.failure

    def look(self) -> None:
        """Poll the device: some time has passed."""
        self.check()
        busy = [stream for stream in self.streams if stream.queue]
        while busy and (chosen := self.choose(len(busy))) is not None:
            busy[chosen % len(busy)].step()
            busy = [stream for stream in self.streams if stream.queue]

    def take(self, size_bytes: int, what: str) -> None:
        self.check()
        if self.used_bytes + size_bytes > self.memory_bytes:
            raise OutOfDeviceMemory(f"{what} failed: CUDA_ERROR_OUT_OF_MEMORY, out of memory")
        self.used_bytes += size_bytes

    def free_bytes(self) -> int:
        self.check()
        return self.memory_bytes - self.used_bytes

    def new_stream(self) -> FakeStream:
        self.check()
        return FakeStream(self, next(self._handles))

    def new_event(self) -> FakeEvent:
        self.check()
        return FakeEvent(self)

    def new_pinned(self, size_bytes: int) -> FakePinned:
        self.check()
        self.allocations += 1
        return FakePinned(self, size_bytes)

    def new_memory(self, size_bytes: int) -> FakeMemory:
        self.take(size_bytes, "cuMemAlloc")
        self.allocations += 1
        return FakeMemory(self, size_bytes, next(self._handles))

    def close(self) -> None:
        assert not self.living, f"never freed: {self.living}"
        assert not self.closed
        self.closed = True


class _Owned:
    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        device.living.add(self)

    def free(self) -> None:
        assert active_device() is self.device
        self.device.living.remove(self)


class FakePinned(_Owned):
    def __init__(self, device: FakeDevice, size_bytes: int) -> None:
        super().__init__(device)
        self.array = np.full(size_bytes, 77, np.uint8)


class FakeMemory(_Owned):
    def __init__(self, device: FakeDevice, size_bytes: int, address: int) -> None:
        super().__init__(device)
        self.address = address
        device.memory[address] = np.full(size_bytes, 99, np.uint8)

    def free(self) -> None:
        super().free()
        assert not any(stream.queue for stream in self.device.streams if not self.device.failure)
        self.device.used_bytes -= self.device.memory.pop(self.address).size


class FakeEvent(_Owned):
    stream: FakeStream | None = None
    done = True

    def is_done(self) -> bool:
        self.device.look()
        self.device.check()
        return self.done

    def wait(self) -> None:
        self.device.check()
        self.device.waits += 1
        self.device.on_wait()
        while not self.done:
            assert self.stream is not None
            self.stream.step()
            self.device.check()


class FakeGraph(_Owned):
    def __init__(self, device: FakeDevice, operations: list[Operation]) -> None:
        super().__init__(device)
        self.operations = operations


class FakeStream(_Owned):
    def __init__(self, device: FakeDevice, handle: int) -> None:
        super().__init__(device)
        self.handle = handle
        self.queue: deque[Operation] = deque()
        self.recording: list[Operation] | None = None
        device.streams.append(self)
        FakeDevice.by_handle[handle] = self

    def step(self) -> None:
        """Execute one operation."""
        if self.device.failure:
            self.queue.clear()
            return
        operation = self.queue.popleft()
        self.device.operations += 1
        if self.device.fails_at == self.device.operations:
            self.device.failure = BackendError("CUDA_ERROR_ILLEGAL_ADDRESS")
            return
        operation()

    def add(self, operation: Operation) -> None:
        self.device.check()
        (self.queue if self.recording is None else self.recording).append(operation)

    def copy_in(self, target: Any, source: Any, size_bytes: int) -> None:
        assert size_bytes <= source.array.size
        memory = self.device.memory[target.address]
        self.add(lambda: np.copyto(memory[:size_bytes], source.array[:size_bytes]))

    def copy_out(self, target: Any, source: Any, size_bytes: int) -> None:
        assert size_bytes <= target.array.size
        memory = self.device.memory[source.address]
        self.add(lambda: np.copyto(target.array[:size_bytes], memory[:size_bytes]))

    def record(self, event: Any) -> None:
        event.stream, event.done = self, False
        self.device.records += 1
        self.add(lambda: setattr(event, "done", True))

    def capture(self, work: Operation) -> FakeGraph:
        if not self.device.graphs:
            raise CaptureRefused("operation not permitted when stream is capturing")
        self.recording = []
        try:
            work()
            self.device.graph_count += 1
            return FakeGraph(self.device, self.recording)
        finally:
            self.recording = None

    def launch(self, graph: Any) -> None:
        self.device.graph_launches += 1
        for operation in graph.operations:
            self.add(operation)

    def wait(self) -> None:
        while self.queue:
            self.step()
            self.device.check()

    def free(self) -> None:
        super().free()
        assert not self.queue or self.device.failure
        self.device.streams.remove(self)
        del FakeDevice.by_handle[self.handle]
