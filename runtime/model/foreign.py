"""Facts about an ONNX model that another program wrote, found by trying it.

Such a file says nothing of scale or sizes. What is assumed is what nearly all of them are:
float32, NCHW, RGB in [0, 1] in and out. What can be found out is found out: the scale, and of
which number height and width must be multiples. How much context its tiles need cannot: a
generous overlap is taken, which `--overlap` changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, ModelError
from runtime.model.info import ModelInfo

FOREIGN_HALO_PX = 32
"""LR pixels of context per side, for want of a measurement."""

MULTIPLES_PX = (1, 2, 4, 8, 16, 32, 64)
"""Size multiples that are tried, in this order."""

LEAST_SIDE_PX = 16
"""Of the pictures that are tried: less breaks networks that pad by reflection."""

_WANTED = (
    "expected one written by `dggn-export onnx`, or one float32 input and output, "
    "[1, 3, height, width], with free height and width"
)


def foreign_info(
    inputs: Sequence[tuple[str, Sequence[Any]]],
    outputs: Sequence[tuple[str, Sequence[Any]]],
    run: Callable[[NDArray[np.float32]], NDArray[Any]],
    *,
    where: str,
) -> ModelInfo:
    """Find out what the runtime must know.

    Args:
        inputs: type (for example `tensor(float)`) and shape of each input; free sizes are
            names or None.
        outputs: the same of each output.
        run: runs the model on one picture, (1, 3, H, W).
        where: the model's path, for error messages.

    Raises:
        ModelError: it is no network that enlarges RGB pictures of any size.
    """
    for values in (inputs, outputs):
        if len(values) != 1 or values[0][0] != "tensor(float)" or len(values[0][1]) != 4:
            found = ", ".join(f"{kind}{list(shape)}" for kind, shape in values)
            raise ModelError(f"{where} has {len(values)} tensors {found}: {_WANTED}")
    shape = inputs[0][1]
    if shape[1] not in (3, None) and not isinstance(shape[1], str):
        raise ModelError(f"{where} takes pictures of {shape[1]} channels: {_WANTED}")
    if any(isinstance(size, int) and size > 0 for size in shape[2:]):
        raise ModelError(
            f"{where} takes pictures of {shape[2]}x{shape[3]} px alone: export it again with "
            "free height and width"
        )
    reason = ""
    for multiple in MULTIPLES_PX:
        height, width = _sizes(multiple)
        ramp = np.linspace(0, 1, 3 * height * width, dtype=np.float32)
        try:
            result = run(ramp.reshape(1, 3, height, width))
        except BackendError as error:
            reason = str(error)
            continue
        scale = result.shape[2] // height if result.ndim == 4 else 0
        if scale and result.shape == (1, 3, scale * height, scale * width):
            return ModelInfo(
                preset="custom",
                scale=scale,
                sample_type="float32",
                size_multiple_px=multiple,
                halo_px=-(-FOREIGN_HALO_PX // multiple) * multiple,
                origin="another program",
            )
        reason = f"it makes {list(result.shape)} of {[1, 3, height, width]}"
    raise ModelError(f"{where} enlarges no pictures ({reason}): {_WANTED}")


def _sizes(multiple: int) -> tuple[int, int]:
    """Two sizes that are multiples of this one, and of no larger power of two."""
    odd = max(1, LEAST_SIDE_PX // multiple) | 1
    return odd * multiple, (odd + 2) * multiple
