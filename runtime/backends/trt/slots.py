"""Keeps a device busy with several batches at once, each in its own slot.

A slot has an execution context, a stream, buffers on both sides of the bus and, where that is
possible, a CUDA graph over copy-in, inference and copy-out. While one slot computes, another one's
results leave and a third one's tiles come. The host sleeps only when all slots are at work.

A graph holds its context's state at the time it was recorded, and TensorRT forbids to launch it
after that changed. So a slot has at most one graph: the first batch of a shape goes without, as
TensorRT wants before it can be recorded, the second is recorded, further ones replay it, and
another shape begins anew.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Protocol

from runtime.backends.cuda.device import CaptureRefused, Device, Graph, Stream
from runtime.backends.trt.layout import CHANNELS, Layout
from runtime.errors import BackendError
from runtime.image.picture import Samples
from runtime.tiles.backend import Deliver

Say = Callable[[str], None]
"""Receives one-line status messages."""

BatchShape = tuple[int, int, int]
"""Number of tiles, height and width."""

WAITING_SHAPES = 4
"""Number of shapes whose batches fill in parallel: those of one picture."""


class Execution(Protocol):
    """An execution context of an engine."""

    captures_itself: bool
    """True if the library captures CUDA graphs itself."""

    def bind(self, stream: Stream, input_address: int, output_address: int) -> None:
        """Set, once, the stream and buffers to use."""

    def reshape(self, shape: BatchShape) -> None:
        """Set the shape of the following batches."""

    def enqueue(self) -> None:
        """Enqueue the inference of a batch."""

    def free(self) -> None:
        """Free the context."""


class Slots:
    """Super-resolves tiles in batches. Used from one thread, with its device current.

    Everything is allocated here; later only graphs are, one for each shape that comes twice.

    Args:
        device: the GPU.
        executions: creates an execution context; called with the number of each slot.
        layout: layout of the engine's buffers.
        scale: scale of the model.
        count: number of slots.
        batch: maximum number of tiles per batch.
        tile_px: maximum height and width of a tile.
        graphs: whether to capture CUDA graphs.
        say: receives one message if there are no graphs.

    Raises:
        OutOfDeviceMemory: there is no room; nothing is kept.
        BackendError: CUDA or the engine failed; nothing is kept.
    """

    def __init__(
        self,
        device: Device,
        executions: Callable[[int], Execution],
        layout: Layout,
        *,
        scale: int,
        count: int,
        batch: int,
        tile_px: int,
        graphs: bool = True,
        say: Say,
    ) -> None:
        self._layout = layout
        self._scale = scale
        self._batch = batch
        self._say = say
        self._waiting: dict[tuple[int, ...], list[tuple[Samples, Deliver]]] = {}
        self._running: deque[Slot] = deque()
        self._uses: Counter[BatchShape | None] = Counter()
        samples = batch * tile_px**2 * CHANNELS * layout.sample_bytes
        with ExitStack() as owned:
            self._slots = [
                Slot(device, partial(executions, number), owned, samples, samples * scale**2)
                for number in range(count)
            ]
            by_library = any(slot.execution.captures_itself for slot in self._slots)
            self._graphs = graphs and not by_library
            for slot in self._slots:
                owned.callback(slot.stop)
            self._owned = owned.pop_all()

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Add a tile to the batch of its shape; launch the batch when it is full.

        If too many shapes wait, the oldest batch is launched half-full.

        Raises:
            ImageError: the engine cannot take such samples.
            BackendError: the device failed; see :meth:`close`.
        """
        self._layout.check(tile_hwc)
        waiting = self._waiting.setdefault(tile_hwc.shape, [])
        waiting.append((tile_hwc, deliver))
        if len(waiting) == self._batch:
            self._launch(tile_hwc.shape)
        elif len(self._waiting) > WAITING_SHAPES:
            self._launch(next(iter(self._waiting)))

    def finish(self) -> None:
        """Launch the last batch, and deliver everything.

        Raises:
            BackendError: the device failed.
        """
        while self._waiting:
            self._launch(next(iter(self._waiting)))
        while self._running:
            self._running[0].event.wait()
            self._collect()

    def close(self) -> None:
        """Free everything, whatever its state; undelivered tiles are dropped."""
        self._waiting.clear()
        self._running.clear()
        self._owned.close()

    def _free_slot(self, shape: BatchShape) -> Slot:
        """Return a free slot; wait if all are busy.

        Preferably one of this shape, else the one whose own shape is the rarest.
        """
        self._collect()
        if len(self._running) == len(self._slots):
            self._running[0].event.wait()
            self._collect()
        idle = [slot for slot in self._slots if slot not in self._running]
        self._uses[shape] += 1
        return min(idle, key=lambda slot: (slot.shape != shape, self._uses[slot.shape]))

    def _launch(self, shape_hwc: tuple[int, ...]) -> None:
        tiles = self._waiting.pop(shape_hwc)
        height, width, _ = shape_hwc
        shape = (len(tiles), height, width)
        slot = self._free_slot(shape)
        for number, (tile, _) in enumerate(tiles):
            self._layout.write(slot.pinned_in.array, number, tile)
        slot.tiles = tiles
        slot.reshape(shape)
        if slot.graph is None and slot.has_run and self._graphs:
            self._capture(slot)
        if slot.graph is None:
            self._queue(slot)
        else:
            slot.stream.launch(slot.graph)
        slot.stream.record(slot.event)
        slot.has_run = True
        self._running.append(slot)
        # The device has work now: time to look what it has done.
        self._collect()

    def _capture(self, slot: Slot) -> None:
        try:
            slot.graph = slot.stream.capture(lambda: self._queue(slot))
        except CaptureRefused as error:
            self._graphs = False
            self._say(f"CUDA graphs are not used, which is slightly slower: {error}")

    def _queue(self, slot: Slot) -> None:
        assert slot.shape is not None
        batch, height, width = slot.shape
        size = batch * height * width * CHANNELS * self._layout.sample_bytes
        slot.stream.copy_in(slot.memory_in, slot.pinned_in, size)
        slot.execution.enqueue()
        slot.stream.copy_out(slot.pinned_out, slot.memory_out, size * self._scale**2)

    def _collect(self) -> None:
        """Deliver finished batches in any order, without waiting."""
        for slot in [slot for slot in self._running if slot.event.is_done()]:
            tiles, slot.tiles = slot.tiles, []
            for number, (tile, deliver) in enumerate(tiles):
                deliver(self._layout.read(slot.pinned_out.array, number, tile, self._scale))
            self._running.remove(slot)


class Slot:
    """Resources of one batch; see :class:`Slots`.

    Args:
        device: the GPU.
        new_execution: creates its context last, so that it is freed first.
        owned: collects the clean-up of every resource.
        input_bytes: input size of the largest batch.
        output_bytes: output size of the largest batch.
    """

    def __init__(
        self,
        device: Device,
        new_execution: Callable[[], Execution],
        owned: ExitStack,
        input_bytes: int,
        output_bytes: int,
    ) -> None:
        self.stream = device.new_stream()
        owned.callback(self.stream.free)
        self.event = device.new_event()
        owned.callback(self.event.free)
        self.memory_in = device.new_memory(input_bytes)
        owned.callback(self.memory_in.free)
        self.memory_out = device.new_memory(output_bytes)
        owned.callback(self.memory_out.free)
        self.pinned_in = device.new_pinned(input_bytes)
        owned.callback(self.pinned_in.free)
        self.pinned_out = device.new_pinned(output_bytes)
        owned.callback(self.pinned_out.free)
        self.execution = new_execution()
        owned.callback(self.execution.free)
        self.graph: Graph | None = None
        self.shape: BatchShape | None = None
        self.has_run = False
        """Whether the slot has run with the current shape."""
        self.tiles: list[tuple[Samples, Deliver]] = []
        self.execution.bind(self.stream, self.memory_in.address, self.memory_out.address)

    def reshape(self, shape: BatchShape) -> None:
        """Prepare for batches of a shape, if it changed."""
        if shape == self.shape:
            return
        self._drop_graph()
        self.shape, self.has_run = None, False
        self.execution.reshape(shape)
        self.shape = shape

    def _drop_graph(self) -> None:
        graph, self.graph = self.graph, None
        if graph is not None:
            graph.free()

    def stop(self) -> None:
        """Wait for the device, so that memory can be freed."""
        with suppress(BackendError):  # what failed has been told already
            self.stream.wait()
        self._drop_graph()
