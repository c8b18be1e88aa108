"""Networks of other programs, as functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError
from runtime.model.foreign import Foreign, foreign_facts

FREE = [("tensor(float)", ["n", 3, "h", "w"])]


def nearest(scale: int, multiple: int, batch: NDArray[Any], least: int = 1) -> NDArray[Any]:
    """A network that enlarges, and fails or pads where the size is no multiple."""
    height, width = batch.shape[2:]
    if height % multiple or min(height, width) < least:
        raise BackendError("sizes do not fit")
    padded = np.pad(batch, ((0, 0), (0, 0), (0, 0), (0, -width % multiple)))
    return padded.repeat(scale, 2).repeat(scale, 3)


def facts_of(network: Any, inputs: Any = FREE, outputs: Any = None) -> Foreign:
    return foreign_facts(inputs, outputs or inputs, network, where="m.onnx")
