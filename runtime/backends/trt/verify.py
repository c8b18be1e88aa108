"""Verifies that an engine makes the same pictures as the reference model.

The other side is ONNX Runtime on the CPU, which computes in float32. PSNR is taken over all samples
of all tiles, between results that both sides rounded to the tiles' grey levels. A single wild value
(a NaN became a number when it was cast to uint8) hardly moves a PSNR, so the largest difference is
bounded too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.backends.trt.engine_facts import Verification
from runtime.backends.trt.request import EnginePrecision
from runtime.errors import BackendError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Backend, Deliver

PHOTOGRAPH = Path(__file__).with_name("photograph.png")
"""A real picture with flat, textured and sharp parts (see examples/README.md for its origin)."""

IDENTICAL_DB = 200.0
"""PSNR reported for identical pictures, where the formula gives infinity."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds on an engine's difference from the float32 model."""

    psnr_db: float
    """Minimum PSNR."""

    largest_difference: float
    """Maximum sample difference, in 8-bit levels."""


BOUNDS: dict[EnginePrecision, Bounds] = {
    "fp32": Bounds(psnr_db=60.0, largest_difference=4.0),
    "fp16": Bounds(psnr_db=50.0, largest_difference=16.0),
    "int8": Bounds(psnr_db=40.0, largest_difference=48.0),
}
"""Bounds of each precision. An INT8 engine is compared with the quantized model, not the float32
one: calibration judged the loss from quantization, and only rounding remains.
"""


def verification_tiles(info: ModelInfo, tile_px: int) -> list[Samples]:
    """Cut tiles of several shapes from a photograph, in the engine's sample type.

    Args:
        info: the engine's facts.
        tile_px: its largest tile.

    Returns:
        (H, W, 3) each, uint8 or uint16 as the engine's sample type has it.
    """
    with Image.open(PHOTOGRAPH) as picture:
        whole = np.asarray(picture.convert("RGB"))
    if info.sample_type == "float32":
        whole = whole.astype(np.uint16) * np.uint16(
            257
        )  # the full 8-bit range to the full 16-bit one
    multiple = info.size_multiple_px
    height, width = (min(size, tile_px) // multiple * multiple for size in whole.shape[:2])
    if height == 0 or width == 0:
        # Smaller than one multiple: nothing that any engine is built for.
        raise BackendError(f"a tile of {tile_px} px is less than the model's {multiple} px")
    least_height, least_width = (
        max(size // 2 // multiple, 1) * multiple for size in (height, width)
    )
    return [
        whole[:height, :width],
        whole[-height:, -width:],
        whole[:least_height, :least_width],
        whole[::-1][:least_height, :width],
    ]


def verify(engine: Backend, reference: Backend, tiles: Sequence[Samples]) -> Verification:
    """Compare an engine with the reference model on the given tiles.

    Args:
        engine: to be verified.
        reference: the float32 model on ONNX Runtime's CPU.
        tiles: as :func:`verification_tiles` gives them.

    Raises:
        BackendError: one of them fails, or the engine's results have other shapes.
    """
    squares = largest = 0.0
    samples = close = 0
    results = zip(run_all(engine, tiles), run_all(reference, tiles), strict=True)
    for found, expected in results:
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise BackendError(
                f"the engine makes {found.dtype}{list(found.shape)}: expected "
                f"{expected.dtype}{list(expected.shape)}"
            )
        difference = _levels(found) - _levels(expected)
        squares += float(np.sum(difference * difference))
        largest = max(largest, float(np.abs(difference).max()))
        close += int(np.count_nonzero(np.abs(difference) <= 1))
        samples += difference.size
    error = squares / samples
    psnr_db = IDENTICAL_DB if error == 0 else min(IDENTICAL_DB, 10 * math.log10(255**2 / error))
    return Verification(
        psnr_db=psnr_db,
        within_one_level=close / samples,
        largest_difference=largest,
        samples=samples,
    )


def verification_failure(found: Verification, precision: EnginePrecision) -> str | None:
    """Explain why an engine of that precision fails; None if it passes."""
    return exceeded_bound(BOUNDS[precision], found, precision)


def exceeded_bound(bounds: Bounds, found: Verification, precision: str) -> str | None:
    """Explain which bound is exceeded; None if all hold.

    Args:
        bounds: the bounds.
        found: result of `verify`.
        precision: name of the precision, for the message.
    """
    if found.psnr_db < bounds.psnr_db:
        return (
            f"{found.psnr_db:.1f} dB against float32, and {precision} must reach "
            f"{bounds.psnr_db:.0f} dB"
        )
    if found.largest_difference > bounds.largest_difference:
        return (
            f"it differs from float32 by up to {found.largest_difference:.0f} grey levels, and "
            f"{precision} may by {bounds.largest_difference:.0f}"
        )
    return None


def verify_with(
    engine: Backend,
    open_reference: Callable[[], Backend],
    tile_px: int,
) -> Verification:
    """Verify an engine on the photograph; the reference is opened and closed here.

    Raises:
        BackendError: one of them fails.
        MissingDependency: ONNX Runtime is not installed.
    """
    tiles = verification_tiles(engine.info, tile_px)
    with open_reference() as reference:
        return verify(engine, reference, tiles)


def run_all(backend: Backend, tiles: Sequence[Samples]) -> list[Samples]:
    """Return the results of all tiles in order, whatever the backend's order.

    Raises:
        BackendError: the backend fails, or loses a tile.
    """
    results: dict[int, Samples] = {}
    lock = threading.Lock()

    def keep(number: int) -> Deliver:
        def deliver(result: Samples) -> None:
            with lock:
                results[number] = result.copy()  # it is valid during the call only

        return deliver

    for number, tile in enumerate(tiles):
        backend.submit(tile, keep(number))
    backend.finish()
    if len(results) != len(tiles):
        raise BackendError(f"{len(tiles)} tiles were submitted and {len(results)} were returned")
    return [results[number] for number in range(len(tiles))]


def _levels(samples: Samples) -> NDArray[np.float64]:
    """Convert samples to 8-bit levels, in float64."""
    peak = float(np.iinfo(samples.dtype).max)
    return samples.astype(np.float64) * (255 / peak)
