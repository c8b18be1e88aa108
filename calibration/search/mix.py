"""Mixes of INT8 and float layers: built, run and measured."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibration.observe.ranges import Ranges
from calibration.prepare.source import Target
from calibration.prepare.tiles import Tile
from calibration.search.ledger import Ledger
from calibration.search.measure import as_file, largest_seam, mean_psnr_db
from calibration.search.place import Layer, quantize
from dggn.data.pairs import Pair
from dggn.onnx_graph.evaluate import as_input, evaluate
from dggn.onnx_graph.source import SourceModel

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Mix:
    """One mix and its measurements."""

    layers: tuple[Layer, ...]
    """Layers in INT8."""

    psnr_db: float
    """Mean PSNR on Y against the HR pictures."""

    halo_px: int
    """LR pixels by which tiles overlap at each side."""

    seam_levels: float
    """Largest difference between tiled and whole output, in grey levels of 255."""


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """Builds mixes of one model and measures them on held-out pictures."""

    original: SourceModel
    """The float32 model, to which mixes are compared."""

    source: SourceModel
    """The model that is quantized: the original, or that with frozen excitation."""

    ranges: Ranges
    """Ranges of its tensors."""

    target: Target
    """Target platform of the mixes."""

    tiles: Sequence[Tile]
    """Held-out tiles, for the cost of a layer."""

    pairs: Sequence[Pair]
    """Held-out pictures, for fidelity and seams."""

    ledger: Ledger
    """Remembers what was measured."""

    def build(self, layers: Collection[Layer]) -> onnx.ModelProto:
        """The model with these layers in INT8; the original where there are none."""
        graph = self.source.model if layers else self.original.model
        return quantize(graph, self.ranges, layers, self.target)

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

    def measure(self, layers: Collection[Layer], halo_px: int) -> Mix:
        """Fidelity and seams with these layers in INT8.

        Args:
            layers: any of the model's.
            halo_px: LR pixels by which tiles overlap at each side.

        Raises:
            BackendError: ONNX Runtime failed.
            TargetError: the ledger cannot be written.
        """
        names = sorted(layer.name for layer in layers)
        digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]

        def psnr_db() -> float:
            with as_file(self.build(layers)) as path:
                return mean_psnr_db(path, self.pairs)

        def seam_levels() -> float:
            with as_file(self.build(layers)) as path:
                return largest_seam(path, self.pairs, halo_px)

        mix = f"mix {len(names)} {digest}"
        return Mix(
            layers=tuple(layers),
            psnr_db=self.ledger.get(f"PSNR of {mix}", psnr_db),
            halo_px=halo_px,
            seam_levels=self.ledger.get(f"seam of {mix} with {halo_px} px", seam_levels),
        )

    @cached_property
    def _feeds(self) -> list[NDArray[Any]]:
        return [as_input(tile.image_hwc, self.source.info.sample_type) for tile in self.tiles]

    @cached_property
    def _expected(self) -> list[NDArray[np.float64]]:
        return _outputs(self.source.model, self._feeds)


def _outputs(model: onnx.ModelProto, feeds: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """A model's outputs, in [0, 1], unrounded where the model does not round."""
    return [
        output.astype(np.float64) / (255 if output.dtype == np.uint8 else 1)
        for (output,) in evaluate(model, ["output"], feeds)
    ]
