"""Runs a model of another program on a small test picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, ImageError
from runtime.model.tensors import Range, TensorFormat

Run = Callable[[NDArray[Any]], NDArray[Any]]


class Trial:
    """A model with small test pictures.

    Args:
        run: runs the model on one picture, laid out as its input is.
        tensors: its tensor format, apart from the range.
    """

    def __init__(self, run: Run, tensors: TensorFormat) -> None:
        self.tensors = tensors
        self.reason = ""
        """Reason why the last picture has no result."""
        self._run = run

    def result(self, size_hw: tuple[int, int], takes: Range | None = None) -> NDArray[Any] | None:
        """Run the model on `ramps`; None if it fails."""
        tensors = self.tensors if takes is None else replace(self.tensors, takes=takes)
        try:
            return self._run(tensors.fed(ramps(size_hw)[None]))
        except (BackendError, ImageError) as error:
            self.reason = str(error)
            return None

    def scale(self, size_hw: tuple[int, int]) -> int:
        """Return the scale for a picture of this size; 0 if the model fails."""
        result = self.result(size_hw)
        if result is None:
            return 0
        shape = result.shape
        if len(shape) == 4:
            found_hw, channels = (
                (shape[1:3], shape[3]) if self.tensors.channels_last else (shape[2:4], shape[1])
            )
            scale: int = found_hw[0] // size_hw[0]
            if scale and channels == 3 and found_hw == (scale * size_hw[0], scale * size_hw[1]):
                return scale
        given = [1, *size_hw, 3] if self.tensors.channels_last else [1, 3, *size_hw]
        self.reason = f"it makes {list(shape)} of {given}"
        return 0


def ramps(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return smooth gradients through all levels, which any interpolation reproduces alike."""
    height, width = size_hw
    y, x = (np.linspace(0, 255, size) for size in size_hw)
    rows = np.broadcast_to(y[:, None], (height, width))
    columns = np.broadcast_to(x, (height, width))
    ramps = np.stack([columns, rows, 255 - (rows + columns) / 2], axis=-1)
    return ramps.round().astype(np.uint8)
