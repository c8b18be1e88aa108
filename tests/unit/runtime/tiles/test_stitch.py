from __future__ import annotations

import numpy as np
import pytest

from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver
from runtime.tiles.stitch import submit_in_tiles

INFO = ModelInfo(
    preset="custom", scale=2, sample_type="uint8", size_multiple_px=4, halo_px=4, origin="a test"
)


class Waiting:
    """Keeps tiles, and delivers them in any order."""

    info = INFO
    uniform_tiles = False

    def __init__(self) -> None:
        self.tiles: list[tuple[Samples, Deliver]] = []

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        self.tiles.append((tile_hwc, deliver))


def nearest(tile_hwc: Samples) -> Samples:
    return tile_hwc.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("size_hw", [(1, 1), (16, 16), (17, 30), (50, 41)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_may_come_back_in_any_order(
    size_hw: tuple[int, int], dtype: type[np.uint8] | type[np.uint16]
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype)
    backend, results, shares = Waiting(), list[Samples](), list[float]()
    submit_in_tiles(
        picture, backend, results.append, tile_size=16, overlap=4, on_tile=shares.append
    )
    assert results == [], "nothing was delivered yet"
    for tile, deliver in reversed(backend.tiles):
        assert all(length % 4 == 0 and length <= 16 for length in tile.shape[:2])
        deliver(nearest(tile))
    (result,) = results
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, nearest(picture))
    count = len(backend.tiles)
    assert shares == [number / count for number in range(1, count + 1)]


def test_a_result_is_kept_although_its_buffer_is_used_again() -> None:
    picture = np.full((8, 8, 3), 7, np.uint8)
    backend, results = Waiting(), list[Samples]()
    submit_in_tiles(picture, backend, results.append, tile_size=16, overlap=4)
    ((tile, deliver),) = backend.tiles
    buffer = nearest(tile)
    deliver(buffer)
    buffer[...] = 0
    assert (results[0] == 7).all()
