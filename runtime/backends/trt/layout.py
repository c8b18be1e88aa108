"""Layout of tiles in an engine's buffers, by sample type."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo

CHANNELS = 3

Buffer = NDArray[np.uint8]
"""Pinned memory as bytes, with one axis."""


class Layout(Protocol):
    """Writes tiles to an engine's input and reads its results, both tightly packed."""

    sample_bytes: int
    """Bytes of one sample."""

    def check(self, tile_hwc: Samples) -> None:
        """Refuse tiles that the engine cannot take.

        Raises:
            ImageError: it takes 8-bit samples only, and these have 16.
        """

    def write(self, buffer: Buffer, number: int, tile_hwc: Samples) -> None:
        """Write a tile to its place in the batch."""

    def read(self, buffer: Buffer, number: int, like_hwc: Samples, scale: int) -> Samples:
        """Return the result of one tile of the batch.

        Args:
            buffer: the whole output.
            number: index of the tile in its batch.
            like_hwc: the tile.
            scale: scale of the model.

        Returns:
            (scale * H, scale * W, 3), the tile's type; valid as long as the buffer is.

        Raises:
            BackendError: it is not finite, if that can be detected.
        """

    def shape(self, batch: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the tensor shape of a batch."""


def layout_of(info: ModelInfo) -> Layout:
    """Return the layout for a model's engine."""
    return ByteLayout() if info.sample_type == "uint8" else FloatLayout()


class ByteLayout:
    """uint8, NHWC: tiles cross the bus at one byte per sample.

    Whether the network's output was finite cannot be told from its bytes: that is what engines are
    verified for.
    """

    sample_bytes = 1

    def check(self, tile_hwc: Samples) -> None:
        """Refuse 16-bit samples."""
        if tile_hwc.dtype != np.uint8:
            raise ImageError(
                "this engine takes 8-bit samples and the picture has 16: convert it to 8 bits, or "
                "use --backend cuda or cpu"
            )

    def write(self, buffer: Buffer, number: int, tile_hwc: Samples) -> None:
        """Copy a tile into the batch."""
        size = tile_hwc.size
        buffer[number * size : (number + 1) * size].reshape(tile_hwc.shape)[...] = tile_hwc

    def read(self, buffer: Buffer, number: int, like_hwc: Samples, scale: int) -> Samples:
        """Return the result without copying."""
        size = like_hwc.size * scale**2
        height, width, _ = like_hwc.shape
        return buffer[number * size : (number + 1) * size].reshape(
            scale * height, scale * width, CHANNELS
        )

    def shape(self, batch: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Return (N, H, W, C)."""
        return batch, height, width, CHANNELS


class FloatLayout:
    """Layout for 8- or 16-bit pictures: float32, NCHW in [0, 1].

    The same arithmetic as ONNX Runtime's backend, so that both make the same of the same output.
    """

    sample_bytes = 4

    def check(self, tile_hwc: Samples) -> None:
        """Accept every tile."""

    def write(self, buffer: Buffer, number: int, tile_hwc: Samples) -> None:
        """Convert a tile into the batch."""
        height, width, _ = tile_hwc.shape
        planes = _planes(buffer, number, height, width)
        planes[...] = tile_hwc.transpose(2, 0, 1)
        planes *= np.float32(1 / float(np.iinfo(tile_hwc.dtype).max))

    def read(self, buffer: Buffer, number: int, like_hwc: Samples, scale: int) -> Samples:
        """Convert a result in place in the buffer."""
        height, width, _ = like_hwc.shape
        planes = _planes(buffer, number, scale * height, scale * width)
        if not np.isfinite(planes).all():
            raise BackendError(
                "the engine's output is not finite: build it again with --precision fp32, or use "
                "--backend cuda or cpu"
            )
        peak = float(np.iinfo(like_hwc.dtype).max)
        planes *= np.float32(peak)
        np.rint(planes, out=planes)
        np.clip(planes, 0, peak, out=planes)
        return planes.transpose(1, 2, 0).astype(like_hwc.dtype)

    def shape(self, batch: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Return (N, C, H, W)."""
        return batch, CHANNELS, height, width


def _planes(buffer: Buffer, number: int, height: int, width: int) -> NDArray[np.float32]:
    size = 4 * CHANNELS * height * width
    part = buffer[number * size : (number + 1) * size]
    return part.view(np.float32).reshape(CHANNELS, height, width)
