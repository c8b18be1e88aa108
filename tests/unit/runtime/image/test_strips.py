from __future__ import annotations

import numpy as np
import pytest

from runtime.image.picture import Picture
from runtime.image.strips import header_of, interleaved, regrouped, rows_of


def picture(height: int, *, alpha: bool = False, grey: bool = False) -> Picture:
    samples = np.arange(height * 3 * 4, dtype=np.uint16).reshape(height, 3, 4)
    rgb = samples[..., :1].repeat(3, axis=2) if grey else samples[..., :3]
    return Picture(rgb_hwc=rgb, alpha_hw=samples[..., 3] if alpha else None, is_grey=grey)


def test_a_header_has_the_size_and_takes_no_memory() -> None:
    source = picture(5, alpha=True)
    header = header_of(source, (60_000, 50_000))
    assert header.size_hw == (60_000, 50_000)
    assert header.alpha_hw is not None
    assert header.rgb_hwc.strides[:2] == header.alpha_hw.strides == (0, 0)
    assert (header.rgb_hwc[-1, -1] == source.rgb_hwc[0, 0]).all()
    assert header_of(source).size_hw == source.size_hw


@pytest.mark.parametrize("heights", [[7], [1] * 7, [3, 4], [2, 5], [6, 1], [1, 5, 1]])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 9])
@pytest.mark.parametrize("alpha", [False, True])
def test_regrouping_keeps_every_row(heights: list[int], rows: int, alpha: bool) -> None:
    source = picture(7, alpha=alpha)
    ends = np.cumsum(heights)
    strips = [rows_of(source, end - height, end) for height, end in zip(heights, ends, strict=True)]
    found = list(regrouped(strips, rows))
    assert [strip.size_hw[0] for strip in found] == [
        min(rows, 7 - top) for top in range(0, 7, rows)
    ]
    np.testing.assert_array_equal(
        np.concatenate([strip.rgb_hwc for strip in found]), source.rgb_hwc
    )
    if source.alpha_hw is not None:
        parts = [strip.alpha_hw for strip in found if strip.alpha_hw is not None]
        np.testing.assert_array_equal(np.concatenate(parts), source.alpha_hw)


@pytest.mark.parametrize(
    ("alpha", "grey", "channels"),
    [(False, False, 3), (True, False, 4), (False, True, 1), (True, True, 2)],
)
def test_files_hold_colour_then_alpha(alpha: bool, grey: bool, channels: int) -> None:
    source = picture(2, alpha=alpha, grey=grey)
    found = interleaved(source)
    assert found.shape == (2, 3, channels)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., 0], source.rgb_hwc[..., 0])
    if source.alpha_hw is not None:
        np.testing.assert_array_equal(found[..., -1], source.alpha_hw)
