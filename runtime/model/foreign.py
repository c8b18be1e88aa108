"""Facts about an ONNX model from another program, found by running it.

Such a file says nothing of scale, sizes or range. What can be found out is: the scale, of which
number height and width must be multiples, the least size, the layout, and whether samples are in
[0, 1], [0, 255], [-1, 1] or [-0.5, 0.5]. RGB is assumed: a network that takes and returns BGR shows
no difference. How much context its tiles need cannot be found out: a generous overlap is taken,
which `--overlap` changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.errors import ModelError
from runtime.model.info import ModelInfo
from runtime.model.sample_range import find_range
from runtime.model.tensors import BYTES, UNIT, TensorFormat
from runtime.model.trial import Run, Trial

FOREIGN_HALO_PX = 32
"""Assumed context in LR pixels per side, for lack of a measurement."""

MULTIPLES_PX = (1, 2, 4, 8, 16, 32, 64)
"""Size multiples to try, in this order."""

SIDES_PX = (16, 64, 128)
"""Least picture sides to try: networks with reflection padding need some size."""

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_WANTED = (
    "expected one written by `dggn-export onnx`, or one input and output of float32, float16 or "
    "uint8, [1, 3, height, width] or [1, height, width, 3], with free height and width"
)


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Facts found about a model."""

    info: ModelInfo
    tensors: TensorFormat
    least_px: int
    """Minimum picture height and width."""


def foreign_facts(
    inputs: Sequence[tuple[str, Sequence[Any]]],
    outputs: Sequence[tuple[str, Sequence[Any]]],
    run: Run,
    *,
    where: str,
) -> Foreign:
    """Determine the facts that the runtime needs.

    Args:
        inputs: type (for example `tensor(float)`) and shape of each input; free sizes are
            names or None.
        outputs: the same of each output.
        run: runs the model on one picture, laid out as the input is.
        where: the model's path, for error messages.

    Raises:
        ModelError: it is not a network that enlarges RGB pictures of any size.
    """
    tensors = _format(inputs, outputs, where)
    trial = Trial(run, tensors)
    size_hw, scale, multiple = _size(trial, where)
    return Foreign(
        info=ModelInfo(
            preset="custom",
            scale=scale,
            sample_type="uint8" if tensors.sample_type == "uint8" else "float32",
            size_multiple_px=multiple,
            halo_px=-(-FOREIGN_HALO_PX // multiple) * multiple,
            origin="another program",
        ),
        tensors=find_range(trial, size_hw, scale, outputs[0][0], where),
        least_px=_least_px(trial, size_hw, scale, multiple),
    )


def _format(
    inputs: Sequence[tuple[str, Sequence[Any]]],
    outputs: Sequence[tuple[str, Sequence[Any]]],
    where: str,
) -> TensorFormat:
    """Return type and layout as declared by the file, with the usual range."""
    for values in (inputs, outputs):
        if len(values) != 1 or values[0][0] not in _TYPES or len(values[0][1]) != 4:
            found = ", ".join(f"{kind}{list(shape)}" for kind, shape in values)
            raise ModelError(f"{where} has {len(values)} tensors {found}: {_WANTED}")
    kind, shape = inputs[0]
    channels_last = shape[3] == 3 and shape[1] != 3
    channels = shape[3 if channels_last else 1]
    if isinstance(channels, int) and channels > 0 and channels != 3:
        raise ModelError(f"{where} takes pictures with {channels} channels: {_WANTED}")
    height, width = shape[1:3] if channels_last else shape[2:4]
    if any(isinstance(size, int) and size > 0 for size in (height, width)):
        sizes = (size if isinstance(size, int) and size > 0 else "any" for size in (width, height))
        raise ModelError(
            f"{where} takes pictures of {'x'.join(map(str, sizes))} px alone: export it again with "
            "free height and width"
        )
    bytes_in, bytes_out = kind == "tensor(uint8)", outputs[0][0] == "tensor(uint8)"
    return TensorFormat(
        sample_type=_TYPES[kind],
        channels_last=channels_last,
        takes=BYTES if bytes_in else UNIT,
        gives=BYTES if bytes_out else UNIT,
    )


def _size(trial: Trial, where: str) -> tuple[tuple[int, int], int, int]:
    """Find a size that the model accepts, its scale, and its size multiples."""
    for side in SIDES_PX:
        for multiple in MULTIPLES_PX:
            if multiple > side:
                continue
            size_hw = _sizes(multiple, side)
            if scale := trial.scale(size_hw):
                return size_hw, scale, multiple
    raise ModelError(f"{where} cannot enlarge pictures ({trial.reason}): {_WANTED}")


def _sizes(multiple: int, side: int) -> tuple[int, int]:
    """Return two sizes that are multiples of `multiple` but of no larger power of two."""
    odd = max(1, side // multiple) | 1
    return odd * multiple, (odd + 2) * multiple


def _least_px(trial: Trial, size_hw: tuple[int, int], scale: int, multiple: int) -> int:
    """Find the smallest side that the model accepts, given one that it accepts."""
    fails, works = 0, size_hw[0] // multiple
    if trial.scale((multiple, multiple)) == scale:
        return multiple
    while works - fails > 1:
        middle = (fails + works) // 2
        if trial.scale((middle * multiple, middle * multiple)) == scale:
            works = middle
        else:
            fails = middle
    return works * multiple
