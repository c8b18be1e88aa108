"""Mixes of INT8 and float layers: built, run and measured."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibration.ledger import Ledger
from calibration.measure import largest_seam, mean_psnr_db
from calibration.place import Layer, Target, quantize
from calibration.ranges import Ranges, feed
from calibration.source import SourceModel
from calibration.tiles import Tile
from dggn.data.pairs import Pair
from runtime.errors import BackendError

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Mix:
    """One mix, and what it does to pictures."""

    layers: tuple[Layer, ...]
    """Those in INT8."""

    psnr_db: float
    """Mean on Y against the HR pictures."""

    seam_levels: float
    """Largest difference between tiled and whole output, in grey levels of 255."""


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """Builds mixes of one model and measures them on held-out pictures."""

    source: SourceModel
    """The float32 model."""

    ranges: Ranges
    """Of its tensors."""

    target: Target
    """What the mixes are for."""

    tiles: Sequence[Tile]
    """Held-out tiles, for the cost of a layer."""

    pairs: Sequence[Pair]
    """Held-out pictures, for fidelity and seams."""

    ledger: Ledger
    """Remembers what was measured."""

    def build(self, layers: Collection[Layer]) -> onnx.ModelProto:
        """The model with these layers in INT8."""
        return quantize(self.source.graph, self.ranges, layers, self.target)

    def cost_db(self, layer: Layer) -> float:
        """PSNR against the float32 output with one layer alone in INT8, on the tiles.

        Raises:
            BackendError: ONNX Runtime failed.
            TargetError: the ledger cannot be written.
        """

        def measure() -> float:
            outputs = _outputs(self.build([layer]), self._feeds)
            pairs = zip(outputs, self._expected, strict=True)
            error = np.mean([np.square(one - other).mean() for one, other in pairs])
            return math.inf if error == 0 else float(-10 * np.log10(error))

        return float(self.ledger.get(f"cost {layer.name}", measure))

    def measure(self, layers: Collection[Layer]) -> Mix:
        """Fidelity and seams with these layers in INT8.

        Raises:
            BackendError: ONNX Runtime failed.
            TargetError: the ledger cannot be written.
        """
        names = sorted(layer.name for layer in layers)
        digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]

        def measure() -> dict[str, float]:
            with self._file(layers) as path:
                return {
                    "psnr_db": mean_psnr_db(path, self.pairs),
                    "seam_levels": largest_seam(path, self.pairs),
                }

        found = self.ledger.get(f"mix {len(names)} {digest}", measure)
        return Mix(layers=tuple(layers), psnr_db=found["psnr_db"], seam_levels=found["seam_levels"])

    @contextmanager
    def _file(self, layers: Collection[Layer]) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mix.onnx"
            path.write_bytes(self.build(layers).SerializeToString())
            yield path

    @cached_property
    def _feeds(self) -> list[NDArray[Any]]:
        return [feed(tile.image_hwc, self.source.info.sample_type) for tile in self.tiles]

    @cached_property
    def _expected(self) -> list[NDArray[np.float64]]:
        return _outputs(self.source.graph, self._feeds)


def _outputs(model: onnx.ModelProto, feeds: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """A model's outputs, in [0, 1], unrounded where the model does not round."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        outputs = [session.run(["output"], {"input": one})[0] for one in feeds]
    except Exception as error:  # ONNX Runtime's exceptions share no public base class.
        raise BackendError(f"ONNX Runtime failed on a quantized model: {error}") from error
    return [
        output.astype(np.float64) / (255 if output.dtype == np.uint8 else 1) for output in outputs
    ]
