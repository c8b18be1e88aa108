"""TensorRT backend."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runtime.backends.cuda.device import Device
from runtime.backends.gpu import Gpu
from runtime.backends.trt.engine import Engine
from runtime.backends.trt.engine_facts import EngineFacts
from runtime.backends.trt.fit import submit_fitted
from runtime.backends.trt.layout import layout_of
from runtime.backends.trt.library import Library
from runtime.backends.trt.slots import Say, Slots
from runtime.errors import BackendError, Cancelled, OutOfDeviceMemory
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver

_NAMES = {"fp32": "float32", "fp16": "float16", "int8": "int8"}

DEFAULT_SLOTS = 3
"""Batches in flight: one computing, one delivering its results, one being filled."""


@dataclass(frozen=True, kw_only=True)
class EngineFile:
    """An engine that may be loaded on this machine."""

    path: Path
    """The plan file."""

    facts: EngineFacts
    """Facts from its sidecar."""


Smaller = Callable[[EngineFile], EngineFile | None]
"""Builds an engine that needs less memory than the given one; None if there is none."""


def no_smaller_engine(engine: EngineFile) -> None:
    """Offer no smaller engine, where none can be built."""


class TrtBackend:
    """Backend that runs an engine on one GPU.

    Tiles wait in half-filled batches until more come, or until `finish`. When the device's memory
    runs out, tiles that are not delivered are computed again with fewer slots, then with smaller
    engines; nothing is lost.

    Args:
        engine: an engine that matches this machine and model.
        library: TensorRT library that built it.
        device: the GPU; closed by the backend, also if this fails.
        gpu: description of that GPU.
        say: receives a message when less memory is used than wanted.
        smaller: builds smaller engines.
        slots: batches in flight.
        graphs: whether to make CUDA graphs; None where the library is not known to fail with them.

    Raises:
        ModelError: the engine is not what its sidecar says.
        BackendError: it cannot be loaded, or even one slot does not fit in memory.
    """

    uniform_tiles = True

    def __init__(
        self,
        engine: EngineFile,
        library: Library,
        device: Device,
        gpu: Gpu,
        *,
        say: Say,
        smaller: Smaller = no_smaller_engine,
        slots: int = DEFAULT_SLOTS,
        graphs: bool | None = None,
    ) -> None:
        self._file = engine
        self._library = library
        self._device = device
        self._gpu = gpu
        self._say = say
        self._smaller = smaller
        self._slot_count = _slots_of(engine, slots)
        # 8.6 is known to fault (Xid 31) when graphs of several contexts run at once.
        self._graphs = not library.capabilities.precision_flags if graphs is None else graphs
        self._numbers = itertools.count()
        # By number, in the order in which they came.
        self._undelivered: dict[int, tuple[Samples, Deliver]] = {}
        self._lock = threading.Lock()
        self._cancelled = self._closed = False
        self._failure: BaseException | None = None
        self._engine: Engine | None = None
        self._slots: Slots | None = None
        try:
            with device.active():
                self._open()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    @property
    def info(self) -> ModelInfo:
        """The model's facts; its sample type is the engine's."""
        return self._file.facts.info

    @property
    def description(self) -> str:
        """Human-readable name of the library, precision and GPU."""
        precision = self._file.facts.precision.upper()
        return f"{self._library.name} in {precision} on {self._gpu.name}"

    @property
    def precision(self) -> str:
        """Precision of the engine."""
        return _NAMES[self._file.facts.precision]

    @property
    def largest_tile_px(self) -> int:
        """Largest tile; larger ones are split."""
        return self._file.facts.tile_px

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; see :class:`runtime.tiles.backend.Backend`."""
        layout_of(self.info).check(tile_hwc)
        self._work((tile_hwc, deliver))

    def finish(self) -> None:
        """Wait until every submitted tile is delivered."""
        self._work(None)

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._cancelled = True

    def __enter__(self) -> TrtBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self._cancelled = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
            # A failed device may refuse this too, with no possible remedy.
            with suppress(BackendError), self._device.active():
                self._close()
            self._device.close()

    def _work(self, work: tuple[Samples, Deliver] | None) -> None:
        """Feed a tile to the device, or finish; after a failure all later calls fail alike."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            numbers = []
            if work is not None:
                # Not before: another thread that runs out of memory resubmits all of them.
                numbers.append(next(self._numbers))
                self._undelivered[numbers[0]] = work
            try:
                with self._device.active():
                    self._feed_all(numbers, finish=work is None)
            except BaseException as error:
                self._failure = error
                raise

    def _feed_all(self, numbers: Sequence[int], *, finish: bool) -> None:
        while True:
            try:
                for number in numbers:
                    self._feed(number)
                if finish:
                    self._check_cancelled()
                    self._running.finish()
            except OutOfDeviceMemory as error:
                self._close()
                self._take_less(error)
                self._open()
                numbers = list(self._undelivered)
            else:
                return

    def _feed(self, number: int) -> None:
        self._check_cancelled()
        tile, _ = self._undelivered[number]
        submit_fitted(tile, partial(self._deliver, number), self._running.submit, self._file.facts)

    def _deliver(self, number: int, result: Samples) -> None:
        _, deliver = self._undelivered.pop(number)
        deliver(result)

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled("the backend was cancelled or closed: open a new one")

    @property
    def _running(self) -> Slots:
        assert self._slots is not None
        return self._slots

    def _open(self) -> None:
        """Load the engine with as many slots as fit."""
        while True:
            facts = self._file.facts
            try:
                self._engine = Engine(self._library, self._file.path, facts, graphs=self._graphs)
                self._slots = Slots(
                    self._device,
                    self._engine.execution,
                    layout_of(facts.info),
                    scale=facts.info.scale,
                    count=self._slot_count,
                    batch=facts.batch,
                    tile_px=facts.tile_px,
                    graphs=self._graphs,
                    say=self._say,
                )
            except OutOfDeviceMemory as error:
                self._close()
                self._take_less(error)
            else:
                return

    def _close(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.close()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _take_less(self, error: OutOfDeviceMemory) -> None:
        """Choose a smaller configuration after running out of memory.

        Raises:
            OutOfDeviceMemory: no smaller configuration exists.
        """
        self._check_cancelled()
        if self._slot_count > 1:
            self._slot_count -= 1
            plural = "" if self._slot_count == 1 else "es"
            self._say(
                f"{self._gpu.name} is low on memory: continuing with {self._slot_count} "
                f"batch{plural} at once"
            )
            return
        smaller = self._smaller(self._file)
        if smaller is None:
            raise OutOfDeviceMemory(
                f"{self._gpu.name} has too little memory left for one batch of "
                f"{self._file.facts.batch} tiles of {self._file.facts.tile_px} px ({error}). Close "
                "other programs that use it, or let `dggn-export trt` build a smaller engine with "
                "--batch and --tile"
            ) from error
        self._file = smaller
        self._slot_count = _slots_of(smaller, DEFAULT_SLOTS)
        self._say(
            f"{self._gpu.name} is low on memory: continuing with batches of "
            f"{smaller.facts.batch} tiles of {smaller.facts.tile_px} px"
        )


def _slots_of(engine: EngineFile, wanted: int) -> int:
    """Limit the slots to the number of profiles, if each slot needs its own."""
    profiles = engine.facts.profiles
    return wanted if profiles == 1 else min(wanted, profiles)
