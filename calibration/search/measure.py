"""Measures a model: fidelity to the original, and seams between tiles."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dggn.data.pairs import Pair
from dggn.metrics.fidelity import peak_signal_noise_ratio
from runtime.backends.onnxruntime import OrtBackend
from runtime.image.picture import Samples, reduce_to_8_bits
from runtime.tiles.stitch import upscale_in_tiles

if TYPE_CHECKING:
    import onnx

WHOLE_PX = 1 << 14
SEAM_CORE_PX = 32
"""Kept LR pixels of a small tile: the smaller, the more seams."""

LEVELS_OF_16_BITS = np.uint16(257)
"""16-bit levels per 8-bit level."""

SEAM_PICTURE_PX = 192
"""Side of the part of a picture, from its upper left corner, in which seams are measured."""


@contextmanager
def as_file(model: onnx.ModelProto) -> Iterator[Path]:
    """Write the model to a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        yield path


def mean_psnr_db(path: Path, pairs: Sequence[Pair]) -> float:
    """Return the mean PSNR on Y, border 4, against the HR pictures.

    Args:
        path: an exported model.
        pairs: HR pictures and their reductions.

    Raises:
        ModelError: the file cannot be loaded.
        BackendError: inference failed.
    """
    with OrtBackend(path) as backend:
        values = [
            peak_signal_noise_ratio(reduce_to_8_bits(_whole(pair.lr_hwc, backend)), pair.hr_hwc)
            for pair in pairs
        ]
    return float(np.mean(values))


def largest_seam(path: Path, pairs: Sequence[Pair], halo_px: int) -> float:
    """Return the maximum tiled/untiled difference, in 8-bit levels.

    Tiles are the smallest that make sense with the overlap. A picture that is half black
    and half noise is measured too. Where the model does not round, neither does the measurement:
    what stays below one level here differs by one at most in any rounded picture.

    Args:
        path: an exported model.
        pairs: pictures, of which the reductions are used.
        halo_px: LR pixels by which tiles overlap at each side.

    Raises:
        ModelError: the file cannot be loaded.
        BackendError: inference failed.
    """
    pictures = [pair.lr_hwc[:SEAM_PICTURE_PX, :SEAM_PICTURE_PX] for pair in pairs]
    largest = 0.0
    with OrtBackend(path) as backend:
        is_rounded = backend.info.sample_type == "uint8"
        for picture_hwc in [half_black_half_noise(), *pictures]:
            image_hwc: Samples = picture_hwc
            if not is_rounded:
                image_hwc = picture_hwc.astype(np.uint16) * LEVELS_OF_16_BITS
            whole = _whole(image_hwc, backend)
            tiled = upscale_in_tiles(
                image_hwc,
                backend,
                tile_size=seam_tile_px(halo_px, backend.info.size_multiple_px),
                overlap=halo_px,
            )
            difference = np.abs(whole.astype(np.int32) - tiled.astype(np.int32))
            levels = float(difference.max()) / (1 if is_rounded else LEVELS_OF_16_BITS)
            largest = max(largest, levels)
    return largest


def seam_tile_px(halo_px: int, multiple: int) -> int:
    """Return the tile size for measuring seams, in LR pixels."""
    return -(-(2 * halo_px + SEAM_CORE_PX) // multiple) * multiple


def half_black_half_noise(side_px: int = SEAM_PICTURE_PX) -> NDArray[np.uint8]:
    """Make a picture whose left half is black and right half is noise: hard for pooling."""
    image = np.zeros((side_px, side_px, 3), np.uint8)
    half = side_px // 2
    image[:, half:] = np.random.default_rng(0).integers(0, 256, (side_px, side_px - half, 3))
    return image


def _whole(image_hwc: Samples, backend: OrtBackend) -> Samples:
    multiple = backend.info.size_multiple_px
    return upscale_in_tiles(
        image_hwc, backend, tile_size=WHOLE_PX // multiple * multiple, overlap=0
    )
