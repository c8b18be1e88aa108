"""What a backend is: something that super-resolves tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runtime.image.picture import Samples
from runtime.model.info import ModelInfo

Deliver = Callable[[Samples], None]
"""Takes the result of one tile."""


class TileTaker(Protocol):
    """The part of a backend that takes tiles."""

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""

    @property
    def uniform_tiles(self) -> bool:
        """Whether few shapes of tiles, alike for all pictures, are quicker than smaller tiles."""

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; may wait for room.

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
    """Super-resolves tiles with one model.

    Tiles are handed in one by one and results handed out as they come, so that a device can
    work on several at once, of several pictures. Used as a context manager; leaving it frees
    the device.
    """

    @property
    def description(self) -> str:
        """What runs where, for people: for example `ONNX Runtime on the CPU, 2 threads`."""

    @property
    def precision(self) -> str:
        """What most of the work on pictures of 8 bits is computed in: for example `float32`."""

    @property
    def largest_tile_px(self) -> int | None:
        """Height and width of the largest tile that is quick; None where any size is alike.

        It can shrink at work, when memory runs out.
        """

    def finish(self) -> None:
        """Wait until all that was submitted is delivered.

        Raises:
            BackendError: the inference library failed.
            Cancelled: :meth:`cancel` was called.
        """

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""

    def __enter__(self) -> Backend:
        """The backend itself."""

    def __exit__(self, *exception: object) -> None:
        """Free the device."""
