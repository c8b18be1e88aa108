from __future__ import annotations

import numpy as np
import pytest

from runtime.image.picture import Picture
from runtime.image.strips import rows_of
from runtime.report.detail import Cutter, Detail


@pytest.mark.parametrize("place", [(0, 0), (90, 40), (180, 260), (10, 260)])
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_the_part_with_the_most_detail_is_found(place: tuple[int, int], rows: int) -> None:
    rgb = np.full((240, 320, 3), 90, np.uint8)
    top, left = place
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    rgb[top : top + 60, left : left + 60] = noise
    detail = Detail((240, 320), (60, 60))
    for start in range(0, 240, rows):
        detail.add(rgb[start : start + rows])
    found = detail.top_left()
    assert max(abs(found[0] - top), abs(found[1] - left)) <= 7
    assert found[0] <= 180
    assert found[1] <= 260


def test_a_part_as_large_as_the_picture() -> None:
    detail = Detail((5, 9), (5, 9))
    detail.add(np.zeros((5, 9, 3), np.uint8))
    assert detail.top_left() == (0, 0)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(3, 9), slice(2, 7)),
        (slice(0, 20), slice(0, 20)),
        (slice(None, None, 3), slice(None, None, 4)),
        (slice(2, 17, 5), slice(1, None, 2)),
    ],
)
@pytest.mark.parametrize("height", [1, 2, 5, 20])
def test_a_cut_is_a_slice(rows: slice, columns: slice, height: int) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (20, 20, 4), np.uint8)
    picture = Picture(rgb_hwc=samples[..., :3], alpha_hw=samples[..., 3])
    cutter = Cutter(rows, columns)
    for top in range(0, 20, height):
        cutter.add(rows_of(picture, top, top + height))
    part = cutter.cut()
    np.testing.assert_array_equal(part.rgb_hwc, picture.rgb_hwc[rows, columns])
    assert part.alpha_hw is not None
    np.testing.assert_array_equal(part.alpha_hw, samples[rows, columns, 3])
    assert cutter.is_complete == (rows.stop is not None)


def test_a_cut_holds_no_more_than_its_part() -> None:
    strip = Picture(rgb_hwc=np.zeros((8, 1000, 3), np.uint8))
    cutter = Cutter(slice(0, 8), slice(0, 10))
    cutter.add(strip)
    assert not np.shares_memory(cutter._strips[0].rgb_hwc, strip.rgb_hwc)
    assert cutter._strips[0].rgb_hwc.base is None
