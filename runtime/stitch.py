"""One picture through a backend, tile by tile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runtime.backend import Backend
from runtime.picture import Samples
from runtime.tiling import TilePlan


def upscale_in_tiles(
    rgb_hwc: Samples,
    backend: Backend,
    *,
    tile_size: int,
    overlap: int,
    on_tile: Callable[[float], None] | None = None,
) -> Samples:
    """Super-resolve one picture.

    It is padded at the bottom and right, by replication, to the model's size multiple; tiles
    are cut from that, and of each result the part that its overlap protects is kept.

    Args:
        rgb_hwc: (H, W, 3), uint8 or uint16, RGB; at least 1x1.
        backend: what super-resolves batches of tiles.
        tile_size: longest side of a tile in LR pixels, overlap included.
        overlap: LR pixels of context at each inner side.
        on_tile: told the share of the picture that is done, in [0, 1], after each batch.

    Returns:
        (scale * H, scale * W, 3), the same type.

    Raises:
        ConfigError: the tile size or overlap does not suit the model.
        BackendError: the inference library failed.
        ImageError: the model takes 8-bit samples only, and these have 16.
        Cancelled: the backend was cancelled.
    """
    height, width = rgb_hwc.shape[:2]
    plan = TilePlan.of(
        (height, width),
        tile_size=tile_size,
        overlap=overlap,
        multiple=backend.info.size_multiple_px,
    )
    scale = backend.info.scale
    padding = ((0, plan.padded_hw[0] - height), (0, plan.padded_hw[1] - width), (0, 0))
    padded = np.pad(rgb_hwc, padding, mode="edge")
    output = np.empty((height * scale, width * scale, 3), rgb_hwc.dtype)
    tiles = list(plan)
    for first in range(0, len(tiles), backend.batch_size):
        batch = tiles[first : first + backend.batch_size]
        results = backend.run(np.stack([padded[tile.fed] for tile in batch]))
        for tile, result in zip(batch, results, strict=True):
            output[tile.kept_of_output(scale)] = result[tile.kept_of_result(scale)]
        if on_tile:
            on_tile((first + len(batch)) / len(tiles))
    return output
