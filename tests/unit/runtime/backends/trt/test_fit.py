from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.backends.trt.fit import submit_fitted
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver

INFO = ModelInfo(
    preset="custom", scale=2, sample_type="uint8", size_multiple_px=4, halo_px=4, origin="a test"
)
FACTS: Any = SimpleNamespace(info=INFO, tile_px=32, least_px=16)


@pytest.mark.parametrize(
    ("size_hw", "submitted"),
    [
        ((32, 24), {(32, 24)}),  # as it is
        ((8, 24), {(16, 24)}),  # padded
        ((4, 4), {(16, 16)}),
        ((40, 80), {(32, 32), (16, 32)}),  # cut
        ((8, 80), {(16, 32)}),  # cut and padded
    ],
)
def test_the_engine_gets_what_it_takes(
    size_hw: tuple[int, int], submitted: set[tuple[int, int]]
) -> None:
    tile = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    sizes: set[tuple[int, ...]] = set()
    results: list[Samples] = []

    def engine(part: Samples, deliver: Deliver) -> None:
        sizes.add(part.shape[:2])
        deliver(part.repeat(2, axis=0).repeat(2, axis=1))

    submit_fitted(tile, results.append, engine, FACTS)
    assert sizes == submitted
    (result,) = results
    np.testing.assert_array_equal(result, tile.repeat(2, axis=0).repeat(2, axis=1))
