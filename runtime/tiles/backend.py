"""The backend protocol: super-resolves tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runtime.image.picture import Samples
from runtime.model.info import ModelInfo

Deliver = Callable[[Samples], None]
"""Receives the result of one tile."""


class TileTaker(Protocol):
    """The tile-processing part of a backend."""

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""

    @property
    def uniform_tiles(self) -> bool:
        """Whether few tile shapes, shared by all pictures, are faster than smaller tiles."""

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; may block until there is room.

        Args:
            tile_hwc: (H, W, 3), uint8 or uint16, RGB over the type's full range; H and W
                multiples of `info.size_multiple_px`. Not to be changed until it is delivered.
            deliver: called once, from any thread, with the result: (scale * H, scale * W, 3),
                the same type, rounded and clamped, valid during the call only. What it raises
                ends the backend's work.

        Raises:
            BackendError: the inference library failed, at this tile or an earlier one.
            ImageError: the model takes 8-bit samples only, and these have 16.
            Cancelled: it was cancelled.
        """


class Backend(TileTaker, Protocol):
    """A model that super-resolves tiles.

    Tiles are handed in one by one and results handed out as they come, so that a device can
    work on several at once, of several pictures. Used as a context manager; leaving it frees
    the device.
    """

    @property
    def description(self) -> str:
        """Human-readable library and device: for example `ONNX Runtime on the CPU, 2 threads`."""

    @property
    def precision(self) -> str:
        """Precision of most of the work on 8-bit pictures, for example `float32`."""

    @property
    def largest_tile_px(self) -> int | None:
        """Height and width of the largest fast tile; None if any size is equally fast.

        It can shrink at work, when memory runs out.
        """

    def finish(self) -> None:
        """Wait until every submitted tile is delivered.

        Raises:
            BackendError: the inference library failed.
            Cancelled: :meth:`cancel` was called.
        """

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""

    def __enter__(self) -> Backend:
        """Return the backend itself."""

    def __exit__(self, *exception: object) -> None:
        """Free the device."""
