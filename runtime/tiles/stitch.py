"""Upscales pictures tile by tile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np

from runtime.image.picture import Samples
from runtime.tiles.backend import Backend, TileTaker
from runtime.tiles.plan import Tile, TilePlan

OnTile = Callable[[float], None]
"""Receives the completed share of a picture, in (0, 1]."""


class Watched:
    """Progress callback of one picture, whose exceptions fail only that picture.

    Results come from a backend that other pictures share: an error there would end their work too.

    Args:
        on_tile: called until it raises.
    """

    def __init__(self, on_tile: OnTile | None) -> None:
        self._on_tile = on_tile
        self._error: BaseException | None = None

    @classmethod
    def of(cls, on_tile: OnTile | None) -> Watched:
        """Wrap a callback, unless it is wrapped already."""
        return on_tile if isinstance(on_tile, Watched) else cls(on_tile)

    def __call__(self, share: float) -> None:
        """Report progress, and store what the callback raises."""
        if self._on_tile is None or self._error is not None:
            return
        try:
            self._on_tile(share)
        except BaseException as error:  # noqa: BLE001 - raised by `check`
            self._error = error

    def check(self) -> None:
        """Raise what the callback raised, if anything."""
        if self._error is not None:
            raise self._error


def plan_for(
    size_hw: tuple[int, int], backend: TileTaker, *, tile_size: int, overlap: int
) -> TilePlan:
    """Plan a picture's tiles as its model and backend need them.

    Args:
        size_hw: height and width of the picture in LR pixels.
        backend: backend for the tiles.
        tile_size: longest side of a tile in LR pixels, overlap included.
        overlap: LR pixels of context at each inner side.

    Raises:
        ConfigError: the tile size or overlap does not suit the model.
    """
    return TilePlan.of(
        size_hw,
        tile_size=tile_size,
        overlap=overlap,
        multiple=backend.info.size_multiple_px,
        uniform=backend.uniform_tiles,
    )


def submit_in_tiles(
    rgb_hwc: Samples,
    backend: TileTaker,
    on_done: Callable[[Samples], None],
    *,
    tile_size: int,
    overlap: int,
    on_tile: OnTile | None = None,
) -> None:
    """Submit a picture's tiles to a backend; the last delivered tile completes it.

    The picture is padded at the bottom and right, by replication, to the model's size multiple;
    tiles are cut from that, and of each result the part that its overlap protects is kept.

    Args:
        rgb_hwc: (H, W, 3), uint8 or uint16, RGB; at least 1x1.
        backend: backend for the tiles; after its `finish`, the picture is done.
        on_done: takes the result, (scale * H, scale * W, 3), the same type, from any thread.
        tile_size: longest side of a tile in LR pixels, overlap included.
        overlap: LR pixels of context at each inner side.
        on_tile: receives the completed share after each tile, from any thread. Its exceptions end
            this picture; they are raised here or, once all tiles are submitted, by `Watched.check`.

    Raises:
        ConfigError: the tile size or overlap does not suit the model.
        BackendError: the inference library failed.
        ImageError: the model takes 8-bit samples only, and these have 16.
        Cancelled: the backend was cancelled.
    """
    height, width = rgb_hwc.shape[:2]
    scale = backend.info.scale
    plan = plan_for((height, width), backend, tile_size=tile_size, overlap=overlap)
    padding = ((0, plan.padded_hw[0] - height), (0, plan.padded_hw[1] - width), (0, 0))
    padded = np.pad(rgb_hwc, padding, mode="edge")
    output = np.empty((height * scale, width * scale, 3), rgb_hwc.dtype)
    watched = Watched.of(on_tile)
    lock, done = threading.Lock(), 0

    def keep(tile: Tile, result: Samples) -> None:
        nonlocal done
        output[tile.kept_of_output(scale)] = result[tile.kept_of_result(scale)]
        with lock:
            done += 1
            number = done
        watched(number / len(plan))
        if number == len(plan):
            on_done(output)

    for tile in plan:
        backend.submit(padded[tile.fed], partial(keep, tile))
        watched.check()


def upscale_in_tiles(
    rgb_hwc: Samples,
    backend: Backend,
    *,
    tile_size: int,
    overlap: int,
    on_tile: OnTile | None = None,
) -> Samples:
    """Super-resolve one picture and wait for it; see :func:`submit_in_tiles`.

    Returns:
        (scale * H, scale * W, 3), the same type.
    """
    results: list[Samples] = []
    watched = Watched.of(on_tile)
    submit_in_tiles(
        rgb_hwc,
        backend,
        results.append,
        tile_size=tile_size,
        overlap=overlap,
        on_tile=watched,
    )
    backend.finish()
    watched.check()
    return results[0]


def part_progress(on_tile: OnTile | None, number: int, count: int) -> OnTile | None:
    """Report the progress of one of several pictures as a share of all.

    Args:
        on_tile: receives the share of all pictures that is done.
        number: index of the picture, from 0.
        count: number of pictures.
    """
    if on_tile is None or count == 1:
        return on_tile
    return lambda share: on_tile((number + share) / count)
