"""Tensor formats of models: type, layout and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from runtime.model.info import ModelInfo

Samples: TypeAlias = NDArray[np.uint8 | np.uint16]

Range: TypeAlias = tuple[float, float]
"""Values of black and white."""

UNIT: Range = (0.0, 1.0)
BYTES: Range = (0.0, 255.0)
SIGNED: Range = (-1.0, 1.0)
CENTRED: Range = (-0.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class TensorFormat:
    """Format in which a model takes and returns RGB pictures."""

    sample_type: str = "float32"
    """NumPy type name: `float32`, `float16` or `uint8`."""

    channels_last: bool = False
    """Whether the layout is NHWC instead of NCHW."""

    takes: Range = UNIT
    gives: Range = UNIT

    def fed(self, tiles_nhwc: Samples) -> NDArray[Any]:
        """Convert tiles to the model's input.

        Args:
            tiles_nhwc: (N, H, W, 3), RGB over the type's full range; uint8 for a model of bytes.
        """
        if self.sample_type == "uint8":
            return np.ascontiguousarray(self._laid_out(tiles_nhwc))
        low, high = self.takes
        peak = float(np.iinfo(tiles_nhwc.dtype).max)
        batch: NDArray[np.float32] = np.ascontiguousarray(
            self._laid_out(tiles_nhwc), dtype=np.float32
        )
        batch *= np.float32((high - low) / peak)
        if low:
            batch += np.float32(low)
        return batch.astype(self.sample_type, copy=False)

    def read(self, output: NDArray[Any], like: Samples) -> Samples:
        """Convert an output to samples, rounded and clamped.

        Args:
            output: the model's output; overwritten.
            like: an array of the type to return.

        Returns:
            (N, H, W, 3), the type of `like`.
        """
        if output.dtype == like.dtype == np.uint8:
            return cast(Samples, self._hwc(output))
        low, high = self.gives
        peak = float(np.iinfo(like.dtype).max)
        values: NDArray[np.float32] = output.astype(np.float32, copy=False)
        if low:
            values -= np.float32(low)
        values *= np.float32(peak / (high - low))
        np.rint(values, out=values)
        np.clip(values, 0, peak, out=values)
        return cast(Samples, self._hwc(values).astype(like.dtype))

    def _laid_out(self, tiles_nhwc: Samples) -> NDArray[Any]:
        if self.channels_last:
            return tiles_nhwc
        return tiles_nhwc.transpose(0, 3, 1, 2)

    def _hwc(self, output: NDArray[Any]) -> NDArray[Any]:
        return output if self.channels_last else output.transpose(0, 2, 3, 1)

    def __str__(self) -> str:
        layout = "NHWC" if self.channels_last else "NCHW"
        (low, high), (least, most) = self.takes, self.gives
        text = f"{self.sample_type} {layout} in [{low:g}, {high:g}]"
        return text if self.takes == self.gives else f"{text}, out in [{least:g}, {most:g}]"


PLAIN = TensorFormat()
"""Format of nearly all models, and of `dggn-export onnx`."""

OF_BYTES = TensorFormat(
    sample_type="uint8",
    channels_last=True,
    takes=BYTES,
    gives=BYTES,
)
"""Format of `dggn-export onnx --io uint8`."""


def tensor_format_of(info: ModelInfo) -> TensorFormat:
    """Return the tensor format of a model written by `dggn-export`."""
    return OF_BYTES if info.sample_type == "uint8" else PLAIN
