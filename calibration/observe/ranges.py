"""Observes the ranges of activations over calibration tiles.

ONNX Runtime's calibraters do the observing; here they are fed a few tiles at a time, so that
memory does not grow with the number of tiles.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from calibration.prepare.tiles import Tile
from dggn.onnx_graph.evaluate import as_input
from runtime.model.info import SampleType

if TYPE_CHECKING:
    import onnx

Method = Literal["minmax", "percentile", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""Minimum and maximum to represent, by tensor name."""

PERCENTILE = 99.999
"""Percentile of the observer. With 99.99 the mean error is the same, but errors of ten levels are
ten times as frequent.
"""

TILES_AT_ONCE = 4


class _Reader:
    """Adapter from tiles to a calibrator's data reader protocol."""

    def __init__(self, tiles: Sequence[Tile], sample_type: SampleType) -> None:
        self._feeds: Iterator[dict[str, NDArray[Any]]] = iter(
            [{"input": as_input(tile.image_hwc, sample_type)} for tile in tiles]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def observe(
    model: onnx.ModelProto,
    tiles: Sequence[Tile],
    *,
    method: Method,
    operators: Sequence[str],
    sample_type: SampleType,
    on_share: Callable[[float], None],
) -> dict[str, tuple[float, float]]:
    """Measure the ranges of all inputs and outputs of the operators.

    Args:
        model: float32 weights, nothing quantized.
        tiles: the calibration tiles.
        method: `minmax` includes all values; `percentile` excludes one in 100,000 at either
            end; `entropy` keeps most of the distribution's information.
        operators: types whose tensors are observed.
        sample_type: sample type of the model.
        on_share: receives the completed share of the tiles.

    Returns:
        The smallest and the largest value of each tensor; 0 always lies between them.
    """
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    kind, options = {
        "minmax": (CalibrationMethod.MinMax, {}),
        "percentile": (
            CalibrationMethod.Percentile,
            {"percentile": PERCENTILE, "symmetric": False},
        ),
        "entropy": (CalibrationMethod.Entropy, {}),
    }[method]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "model.onnx"
        source.write_bytes(model.SerializeToString())
        calibrater = create_calibrator(
            source,
            list(operators),
            augmented_model_path=str(Path(name) / "augmented.onnx"),
            calibrate_method=kind,
            extra_options=options,
        )
        # It prints what it does; standard output is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            for first in range(0, len(tiles), TILES_AT_ONCE):
                some = tiles[first : first + TILES_AT_ONCE]
                calibrater.collect_data(_Reader(some, sample_type))
                on_share((first + len(some)) / len(tiles))
            observed = calibrater.compute_data()
    ranges = {}
    for tensor, data in observed.items():
        low, high = (float(np.squeeze(value)) for value in data.range_value)
        ranges[tensor] = (min(low, 0.0), max(high, 0.0))
    return ranges
