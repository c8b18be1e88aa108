"""A backend over slots, for libraries other than TensorRT.

What TensorRT's backend does for want of memory is left out: others take what they need at work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runtime.backends.cuda.device import Device
from runtime.backends.trt.fit import submit_fitted
from runtime.backends.trt.layout import layout_of
from runtime.backends.trt.slots import Execution, Say, Slots
from runtime.errors import BackendError, Cancelled
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver

SLOTS = 2
"""Batches in flight: one computes while the other's results leave and its tiles arrive."""


@dataclass(frozen=True, kw_only=True)
class SlotModel:
    """A model with its settings for slots."""

    path: Path
    """ONNX file, with byte or float input and output according to `info.sample_type`."""

    info: ModelInfo
    """Facts about the model."""

    precision: str
    """Human-readable precision of the computation."""

    tile_px: int
    """Maximum tile height and width, in LR pixels."""

    batch: int
    """Maximum number of tiles per batch."""

    @property
    def least_px(self) -> int:
        """Minimum tile height and width."""
        return self.info.size_multiple_px


class SlotsBackend:
    """Backend that runs a model of ours on one GPU, through a library with streams and addresses.

    Args:
        model: the model.
        executions: makes the library's part of a slot, given its number.
        device: the GPU; closed by the backend, also if this fails.
        description: human-readable name of the library and device.
        say: receives one-line status messages.
        slots: batches at once.
        graphs: whether to make CUDA graphs, where the executions allow it.

    Raises:
        BackendError: the library does not start.
        OutOfDeviceMemory: there is no room.
    """

    uniform_tiles = True

    def __init__(
        self,
        model: SlotModel,
        executions: Callable[[int], Execution],
        device: Device,
        *,
        description: str,
        say: Say,
        slots: int = SLOTS,
        graphs: bool = True,
    ) -> None:
        self.description = description
        self._model = model
        self._device = device
        self._lock = threading.Lock()
        self._cancelled = self._closed = False
        self._failure: BaseException | None = None
        self._slots: Slots | None = None
        try:
            with device.active():
                self._slots = Slots(
                    device,
                    executions,
                    layout_of(model.info),
                    scale=model.info.scale,
                    count=slots,
                    batch=model.batch,
                    tile_px=model.tile_px,
                    graphs=graphs,
                    say=say,
                )
        except BaseException:
            self.__exit__(None, None, None)
            raise

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        return self._model.info

    @property
    def precision(self) -> str:
        """Precision of the computation."""
        return self._model.precision

    @property
    def largest_tile_px(self) -> int:
        """Largest tile; larger ones are split."""
        return self._model.tile_px

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; see :class:`runtime.tiles.backend.Backend`."""
        layout_of(self.info).check(tile_hwc)
        self._work(partial(submit_fitted, tile_hwc, deliver))

    def finish(self) -> None:
        """Wait until every submitted tile is delivered."""
        self._work(None)

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._cancelled = True

    def __enter__(self) -> SlotsBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self._cancelled = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
            slots, self._slots = self._slots, None
            # A device that failed may refuse this too, which nobody could do anything about.
            with suppress(BackendError), self._device.active():
                if slots is not None:
                    slots.close()
            self._device.close()

    def _work(self, submit: partial[None] | None) -> None:
        """Feed a tile to the device, or finish; after a failure all later calls fail alike."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                if self._cancelled or self._slots is None:
                    raise Cancelled("the backend was cancelled or closed: make a new one")
                with self._device.active():
                    if submit is None:
                        self._slots.finish()
                    else:
                        submit(self._slots.submit, self._model)
            except BaseException as error:
                self._failure = error
                raise
