"""Upscales pictures one row of tiles at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from runtime.image.picture import Picture, Samples
from runtime.image.resize import ALPHA_CONTEXT_PX, enlarge_alpha
from runtime.image.strip_source import StripReader
from runtime.tiles.backend import Backend
from runtime.tiles.plan import LEAST_DEFAULT_TILE_PX, Span, Tile
from runtime.tiles.stitch import OnTile, Watched, plan_for

STRIP_BYTES = 256 << 20
"""Target size of a result strip in bytes; tiles of the default size or less stay below it."""


def upscale_in_strips(
    reader: StripReader,
    backend: Backend,
    *,
    tile_size: int,
    overlap: int,
    on_tile: OnTile | None = None,
) -> Iterator[Picture]:
    """Super-resolve a picture of which only some rows are in memory.

    The tiles are those of `stitch.submit_in_tiles`, and so is every sample of the result.

    Args:
        reader: the source.
        backend: backend for the tiles.
        tile_size: longest side of a tile in LR pixels, overlap included.
        overlap: LR pixels of context at each inner side.
        on_tile: receives the completed share of the picture, in (0, 1], after each tile.

    Yields:
        The result's rows from top to bottom, a strip for each row of tiles.

    Raises:
        ConfigError: the tile size or overlap does not suit the model.
        ImageReadError: the source is damaged.
        BackendError: the inference library failed.
        Cancelled: the backend was cancelled.
    """
    height, width = reader.header.size_hw
    scale = backend.info.scale
    plan = plan_for((height, width), backend, tile_size=tile_size, overlap=overlap)
    watched = Watched.of(on_tile)
    count = _Count(len(plan), watched)
    begun: deque[_Strip] = deque()
    for rows in plan.rows:
        first = max(0, min(rows.start, rows.keep_start - ALPHA_CONTEXT_PX))
        last = min(height, max(rows.stop, rows.keep_stop + ALPHA_CONTEXT_PX))
        part = reader.rows(first, last)
        strip = _Strip(part, first, rows, scale, len(plan.columns))
        begun.append(strip)
        fed = part.rgb_hwc[rows.start - first : rows.stop - first]
        missing = (len(rows) - len(fed), plan.padded_hw[1] - width)
        padded = np.pad(fed, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        for columns in plan.columns:
            backend.submit(
                padded[:, columns.fed], partial(strip.keep, Tile(rows, columns), count.one_more)
            )
            watched.check()
        # One strip may wait while the backend fills a batch with tiles of the next.
        while begun and (begun[0].is_complete or len(begun) > 1):
            yield _completed(begun.popleft(), backend)
    while begun:
        yield _completed(begun.popleft(), backend)
    watched.check()


def strip_bytes(header: Picture, backend: Backend, *, tile_size: int, overlap: int) -> int:
    """Return the size in bytes of the largest result strip.

    Args:
        header: header of the source.
        backend: backend for its tiles.
        tile_size: longest side of a tile in LR pixels, overlap included.
        overlap: LR pixels of context at each inner side.
    """
    plan = plan_for(header.size_hw, backend, tile_size=tile_size, overlap=overlap)
    rows = max(span.keep_stop - span.keep_start for span in plan.rows)
    return header.nbytes // header.size_hw[0] * rows * backend.info.scale**2


def strip_tile_px(header: Picture, backend: Backend, *, tile_size: int, overlap: int) -> int:
    """Return the tile size for strips: smaller than requested if a row of tiles takes too much.

    Args:
        header: the source.
        backend: backend for the tiles.
        tile_size: LR pixels per side, to be shrunk down to the least default.
        overlap: LR pixels of context at each inner side.
    """
    step = backend.info.size_multiple_px
    least = max(LEAST_DEFAULT_TILE_PX, 2 * overlap + step)
    while (
        tile_size - step >= least
        and strip_bytes(header, backend, tile_size=tile_size, overlap=overlap) > STRIP_BYTES
    ):
        tile_size -= step
    return tile_size


class _Strip:
    """Some rows of the result, while their tiles arrive."""

    def __init__(self, part: Picture, first: int, rows: Span, scale: int, tiles: int) -> None:
        kept = rows.keep_stop - rows.keep_start
        width = part.size_hw[1]
        alpha_hw = None
        if part.alpha_hw is not None:
            top = rows.keep_start - first
            alpha_hw = enlarge_alpha(part.alpha_hw, scale, rows=(top, top + kept))
        self.picture = Picture(
            rgb_hwc=np.empty((kept * scale, width * scale, 3), part.rgb_hwc.dtype),
            alpha_hw=alpha_hw,
            is_grey=part.is_grey,
        )
        self._scale = scale
        self._missing = tiles
        self._guard = threading.Lock()

    @property
    def is_complete(self) -> bool:
        with self._guard:
            return not self._missing

    def keep(self, tile: Tile, then: Callable[[], None], result: Samples) -> None:
        columns = tile.columns.kept_of_output(self._scale)
        self.picture.rgb_hwc[:, columns] = result[tile.kept_of_result(self._scale)]
        with self._guard:
            self._missing -= 1
        then()


def _completed(strip: _Strip, backend: Backend) -> Picture:
    if not strip.is_complete:
        backend.finish()
    assert strip.is_complete, "a backend that has finished has delivered"
    return strip.picture


class _Count:
    """Thread-safe counter of tiles."""

    def __init__(self, of: int, on_tile: OnTile) -> None:
        self._of = of
        self._on_tile = on_tile
        self._done = 0
        self._guard = threading.Lock()

    def one_more(self) -> None:
        with self._guard:
            self._done += 1
            share = self._done / self._of
        self._on_tile(share)
