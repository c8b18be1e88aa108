"""Facts about an ONNX model from another program, found by running it.

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
"""Assumed context in LR pixels per side, for lack of a measurement."""

MULTIPLES_PX = (1, 2, 4, 8, 16, 32, 64)
"""Size multiples to try, in this order."""

SIDES_PX = (16, 64, 128)
"""Least picture sides to try: networks with reflection padding need some size."""

NEAR = 0.01
"""Maximum mean difference between a picture and its reduced result, relative to full range, for a
perfect match.
"""

ALIKE = 0.02
"""Maximum difference for a match, unless another range fits far better."""

UNLIKE = 0.1
"""Minimum difference at which a result is not an enlarged picture."""

_MARGIN_PX = 3
"""Border to ignore, where networks that pad with zeros are wrong."""

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_WANTED = (
    "expected one written by `dggn-export onnx`, or one input and output of float32, float16 or "
    "uint8, [1, 3, height, width] or [1, height, width, 3], with free height and width"
)

Run = Callable[[NDArray[Any]], NDArray[Any]]


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


class _Trial:
    """A model with small test pictures.

    Args:
        run: see `foreign_facts`.
        tensors: its tensor format, apart from the range.
    """

    def __init__(self, run: Run, tensors: TensorFormat) -> None:
        self.tensors = tensors
        self.reason = ""
        """Reason why the last picture has no result."""
        self._run = run

    def result(self, size_hw: tuple[int, int], takes: Range | None = None) -> NDArray[Any] | None:
        """Run the model on `_ramps`; None if it fails."""
        tensors = self.tensors if takes is None else replace(self.tensors, takes=takes)
        try:
            return self._run(tensors.fed(_ramps(size_hw)[None]))
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


def _ramps(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return smooth gradients through all levels, which any interpolation reproduces alike."""
    height, width = size_hw
    y, x = (np.linspace(0, 255, size) for size in size_hw)
    rows = np.broadcast_to(y[:, None], (height, width))
    columns = np.broadcast_to(x, (height, width))
    ramps = np.stack([columns, rows, 255 - (rows + columns) / 2], axis=-1)
    return ramps.round().astype(np.uint8)


def _size(trial: _Trial, where: str) -> tuple[tuple[int, int], int, int]:
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


def _least_px(trial: _Trial, size_hw: tuple[int, int], scale: int, multiple: int) -> int:
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


def _range(
    trial: _Trial, size_hw: tuple[int, int], scale: int, result_type: str, where: str
) -> TensorFormat:
    """Find the sample range in which the model reproduces its input."""
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
            f"{where} takes RGB pictures, but its results match them in none of the "
            f"ranges [0, 1], [0, 255] and [-1, 1] (mean difference {100 * least:.0f} %): expected "
            "a network that enlarges photographs"
        )
    if differences.get(usual, 1.0) <= min(ALIKE, 4 * least):
        return usual
    return best


def _candidates(
    trial: _Trial, size_hw: tuple[int, int], result_type: str
) -> Iterator[tuple[TensorFormat, NDArray[Any]]]:
    """Yield input and output ranges, usual ones first, with the model's results."""
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
    """Return the mean difference between the test picture and its reduced result, in [0, 1]."""
    height, width = size_hw
    picture = _ramps(size_hw)
    enlarged = tensors.read(result.copy(), picture)[0].astype(np.float32)
    reduced = enlarged.reshape(height, scale, width, scale, 3).mean(axis=(1, 3))
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return float(np.abs(reduced - picture)[inner, inner].mean()) / 255
