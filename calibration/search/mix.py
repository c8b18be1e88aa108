"""Builds, runs and measures mixes of INT8 and float layers."""

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
    """Tile overlap in LR pixels at each side."""

    seam_levels: float
    """Maximum tiled/untiled difference, in 8-bit levels."""


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """Builder of mixes of one model, measured on held-out pictures."""

    original: SourceModel
    """The float32 model that mixes are compared with."""

    source: SourceModel
    """Model to quantize: the original, or the one with frozen excitation."""

    ranges: Ranges
    """Ranges of the source's tensors."""

    target: Target
    """Target platform of the mixes."""

    tiles: Sequence[Tile]
    """Held-out tiles for measuring the cost of a layer."""

    pairs: Sequence[Pair]
    """Held-out pictures for measuring fidelity and seams."""

    ledger: Ledger
    """Store of earlier measurements."""

    def build(self, layers: Collection[Layer]) -> onnx.ModelProto:
        """Return the model with these layers in INT8; the original if there are none."""
        graph = self.source.model if layers else self.original.model
        return quantize(graph, self.ranges, layers, self.target)

    def cost_db(self, layer: Layer) -> float:
        """Measure the PSNR against the float32 output with only one layer in INT8, on the tiles.

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
        """Measure fidelity and seams with these layers in INT8.

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
    """Return a model's outputs in [0, 1], unrounded unless the model itself rounds."""
    return [
        output.astype(np.float64) / (255 if output.dtype == np.uint8 else 1)
        for (output,) in evaluate(model, ["output"], feeds)
    ]
