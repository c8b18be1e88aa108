from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from runtime.image.picture import (
    Picture,
    is_deep,
    on_white,
    reduce_to_8_bits,
    repeat_grey,
    with_8_bits,
)


def test_every_16_bit_value_becomes_the_nearest_8_bit_one() -> None:
    deep = np.arange(65536, dtype=np.uint16)
    found = reduce_to_8_bits(deep)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rint(deep / 257))


def test_8_bits_are_not_copied() -> None:
    samples = np.zeros((2, 3, 3), np.uint8)
    assert reduce_to_8_bits(samples) is samples


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_flattening_rounds_exactly(dtype: type[np.uint8] | type[np.uint16]) -> None:
    full = int(np.iinfo(dtype).max)
    values = [0, 1, 2, full // 3, full // 2, full - 1, full]
    rgb: Any = np.array([[[colour] * 3 for _ in values] for colour in values], dtype)
    alpha: Any = np.array([values for _ in values], dtype)
    found = on_white(rgb, alpha)
    assert found.dtype == dtype
    for row, colour in enumerate(values):
        for column, opacity in enumerate(values):
            share = Fraction(opacity, full)
            exact = colour * share + full * (1 - share)
            assert abs(int(found[row, column, 0]) - exact) <= Fraction(1, 2)


def test_reducing_a_picture_leaves_the_source_alone() -> None:
    source = Picture(
        rgb_hwc=np.full((1, 2, 3), 257, np.uint16),
        alpha_hw=np.full((1, 2), 514, np.uint16),
        notes=["one"],
    )
    reduced = with_8_bits(source)
    assert (is_deep(source), is_deep(reduced)) == (True, False)
    assert reduced.rgb_hwc.tolist() == [[[1] * 3] * 2]
    assert reduced.alpha_hw is not None
    assert reduced.alpha_hw.tolist() == [[2, 2]]
    reduced.notes.append("two")
    assert source.notes == ["one"]


def test_grey_is_the_rounded_mean_of_the_channels() -> None:
    rgb: Any = np.array([[[5, 5, 5], [1, 1, 0], [0, 1, 0], [65535, 65535, 65535]]], np.uint16)
    assert Picture(rgb_hwc=rgb).grey_hw().tolist() == [[5, 1, 0, 65535]]
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(Picture(rgb_hwc=repeat_grey(grey)).grey_hw(), grey)


def test_bytes_count_alpha_and_further_frames() -> None:
    frame = Picture(rgb_hwc=np.zeros((2, 3, 3), np.uint8), alpha_hw=np.zeros((2, 3), np.uint8))
    both = Picture(rgb_hwc=np.zeros((4, 5, 3), np.uint16), more=(frame,))
    assert both.size_hw == (4, 5)
    assert both.nbytes == 2 * 4 * 5 * 3 + 2 * 3 * 4
