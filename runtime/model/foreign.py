"""Facts about an ONNX model that another program wrote, found by trying it.

Such a file says nothing of scale, sizes or range. What can be found out is: the scale, of which
number height and width must be multiples, the least size, the layout, and whether samples are in
[0, 1], [0, 255] or [-1, 1]. RGB is assumed. How much context its tiles need cannot be found out: a
generous overlap is taken, which `--overlap` changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, ImageError, ModelError
from runtime.model.info import ModelInfo
from runtime.model.tensors import BYTES, SIGNED, UNIT, Range, TensorFormat

FOREIGN_HALO_PX = 32
"""LR pixels of context per side, for want of a measurement."""

MULTIPLES_PX = (1, 2, 4, 8, 16, 32, 64)
"""Size multiples that are tried, in this order."""

SIDES_PX = (16, 64, 128)
"""Least sides of the pictures that are tried: networks that pad by reflection need some size."""

NEAR = 0.01
"""Mean difference between a picture and its reduced result, of the whole range, that is none."""

ALIKE = 0.02
"""The same, for results that are right unless another range gives far better ones."""

UNLIKE = 0.1
"""The same, from which on a result is no enlarged picture."""

_MARGIN_PX = 3
"""At the border, where networks that pad with zeros are wrong."""

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_WANTED = (
    "expected one written by `dggn-export onnx`, or one input and output of float32, float16 or "
    "uint8, [1, 3, height, width] or [1, height, width, 3], with free height and width"
)

Run = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What was found out about a model."""

    info: ModelInfo
    tensors: TensorFormat
    least_px: int
    """Height and width of the smallest picture that it takes."""


def foreign_facts(
    inputs: Sequence[tuple[str, Sequence[Any]]],
    outputs: Sequence[tuple[str, Sequence[Any]]],
    run: Run,
    *,
    where: str,
) -> Foreign:
    """Find out what the runtime must know.

    Args:
        inputs: type (for example `tensor(float)`) and shape of each input; free sizes are
            names or None.
        outputs: the same of each output.
        run: runs the model on one picture, laid out as the input is.
        where: the model's path, for error messages.

    Raises:
        ModelError: it is no network that enlarges RGB pictures of any size.
    """
    tensors = _format(inputs, outputs, where)
    trial = _Trial(run, tensors)
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
        tensors=_range(trial, size_hw, scale, outputs[0][0], where),
        least_px=_least_px(trial, size_hw, scale, multiple),
    )


def _format(
    inputs: Sequence[tuple[str, Sequence[Any]]],
    outputs: Sequence[tuple[str, Sequence[Any]]],
    where: str,
) -> TensorFormat:
    """Type and layout, told by what the file declares; the range as if it were the usual one."""
    for values in (inputs, outputs):
        if len(values) != 1 or values[0][0] not in _TYPES or len(values[0][1]) != 4:
            found = ", ".join(f"{kind}{list(shape)}" for kind, shape in values)
            raise ModelError(f"{where} has {len(values)} tensors {found}: {_WANTED}")
    kind, shape = inputs[0]
    channels_last = shape[3] == 3 and shape[1] != 3
    channels = shape[3 if channels_last else 1]
    if isinstance(channels, int) and channels > 0 and channels != 3:
        raise ModelError(f"{where} takes pictures of {channels} channels: {_WANTED}")
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


class _Trial:
    """Runs a model on small pictures.

    Args:
        run: see `foreign_facts`.
        tensors: how it takes pictures, the range aside.
    """

    def __init__(self, run: Run, tensors: TensorFormat) -> None:
        self.tensors = tensors
        self.reason = ""
        """Why the last picture has no result."""
        self._run = run

    def result(self, size_hw: tuple[int, int], takes: Range | None = None) -> NDArray[Any] | None:
        """What the model makes of `_ramps`; None where it fails."""
        tensors = self.tensors if takes is None else replace(self.tensors, takes=takes)
        try:
            return self._run(tensors.fed(_ramps(size_hw)[None]))
        except (BackendError, ImageError) as error:
            self.reason = str(error)
            return None

    def scale(self, size_hw: tuple[int, int]) -> int:
        """How often it enlarges a picture of this size; 0 where it fails."""
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


def _ramps(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A smooth picture of all levels, which any interpolation enlarges and gives back alike."""
    height, width = size_hw
    y, x = (np.linspace(0, 255, size) for size in size_hw)
    rows = np.broadcast_to(y[:, None], (height, width))
    columns = np.broadcast_to(x, (height, width))
    ramps = np.stack([columns, rows, 255 - (rows + columns) / 2], axis=-1)
    return ramps.round().astype(np.uint8)


def _size(trial: _Trial, where: str) -> tuple[tuple[int, int], int, int]:
    """A size that the model takes, its scale, and of what sizes must be multiples."""
    for side in SIDES_PX:
        for multiple in MULTIPLES_PX:
            if multiple > side:
                continue
            size_hw = _sizes(multiple, side)
            if scale := trial.scale(size_hw):
                return size_hw, scale, multiple
    raise ModelError(f"{where} enlarges no pictures ({trial.reason}): {_WANTED}")


def _sizes(multiple: int, side: int) -> tuple[int, int]:
    """Two sizes that are multiples of this one, and of no larger power of two."""
    odd = max(1, side // multiple) | 1
    return odd * multiple, (odd + 2) * multiple


def _least_px(trial: _Trial, size_hw: tuple[int, int], scale: int, multiple: int) -> int:
    """The smallest side that the model takes, given a size that it does take."""
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


def _range(
    trial: _Trial, size_hw: tuple[int, int], scale: int, result_type: str, where: str
) -> TensorFormat:
    """Find the range of samples in which the model gives back the picture that it was given."""
    usual = trial.tensors
    differences: dict[TensorFormat, float] = {}
    for tensors, result in _candidates(trial, size_hw, result_type):
        differences[tensors] = _difference(tensors, result, size_hw, scale)
        if tensors == usual and differences[usual] <= NEAR:
            return usual
    best = min(differences, key=lambda tensors: differences[tensors], default=usual)
    least = differences.get(best, 1.0)
    if least > UNLIKE:
        raise ModelError(
            f"{where} takes RGB pictures, but what it makes of them resembles them in none of the "
            f"ranges [0, 1], [0, 255] and [-1, 1] (mean difference {100 * least:.0f} %): expected "
            "a network that enlarges photographs"
        )
    if differences.get(usual, 1.0) <= min(ALIKE, 4 * least):
        return usual
    return best


def _candidates(
    trial: _Trial, size_hw: tuple[int, int], result_type: str
) -> Iterator[tuple[TensorFormat, NDArray[Any]]]:
    """Ranges in and out, the usual ones first, and what the model makes of them."""
    usual = trial.tensors
    for takes in (BYTES,) if usual.sample_type == "uint8" else (UNIT, BYTES, SIGNED):
        result = trial.result(size_hw, takes)
        if result is None:
            continue
        for gives in (BYTES,) if result_type == "tensor(uint8)" else (takes, UNIT, BYTES, SIGNED):
            yield replace(usual, takes=takes, gives=gives), result


def _difference(
    tensors: TensorFormat, result: NDArray[Any], size_hw: tuple[int, int], scale: int
) -> float:
    """The mean difference between the trial's picture and its reduced result, in [0, 1]."""
    height, width = size_hw
    picture = _ramps(size_hw)
    enlarged = tensors.read(result.copy(), picture)[0].astype(np.float32)
    reduced = enlarged.reshape(height, scale, width, scale, 3).mean(axis=(1, 3))
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return float(np.abs(reduced - picture)[inner, inner].mean()) / 255
