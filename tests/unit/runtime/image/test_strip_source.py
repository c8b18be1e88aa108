from __future__ import annotations

import numpy as np
import pytest

from runtime.image.picture import Picture
from runtime.image.strip_source import EightBitReader, PictureReader, strips_of
from runtime.image.transparency import fill_transparent, without_steps


def deep_picture(*, alpha: bool = False) -> Picture:
    samples = np.random.default_rng(0).integers(0, 65536, (7, 5, 4), np.uint16)
    samples[2:4, 1:3, 3] = 0
    return Picture(rgb_hwc=samples[..., :3], alpha_hw=samples[..., 3] if alpha else None)


@pytest.mark.parametrize("rows", [1, 3, 7, 20])
def test_strips_are_the_picture(rows: int) -> None:
    picture = deep_picture()
    strips = list(strips_of(PictureReader(picture), rows))
    assert [strip.size_hw[0] for strip in strips[:-1]] == [rows] * (len(strips) - 1)
    joined = np.concatenate([strip.rgb_hwc for strip in strips])
    np.testing.assert_array_equal(joined, picture.rgb_hwc)


def test_hidden_colours_are_replaced_once_for_the_whole_picture() -> None:
    picture = deep_picture(alpha=True)
    assert picture.alpha_hw is not None
    expected = fill_transparent(picture.rgb_hwc, picture.alpha_hw)
    strips = list(strips_of(PictureReader(picture), 2))
    np.testing.assert_array_equal(np.concatenate([strip.rgb_hwc for strip in strips]), expected)
    alphas = [strip.alpha_hw for strip in strips if strip.alpha_hw is not None]
    np.testing.assert_array_equal(np.concatenate(alphas), without_steps(picture.alpha_hw))


def test_reduced_to_8_bits_with_a_note() -> None:
    picture = deep_picture()
    reader = EightBitReader(PictureReader(picture))
    assert reader.header.rgb_hwc.dtype == np.uint8
    assert reader.header.size_hw == picture.size_hw
    assert reader.header.notes == ["reduced to 8 bits: the model takes no more"]
    expected = np.rint(picture.rgb_hwc[3:5] / 257)
    np.testing.assert_array_equal(reader.rows(3, 5).rgb_hwc, expected)
    np.testing.assert_array_equal(reader.again().rows(3, 5).rgb_hwc, expected)


def test_8_bits_need_no_note() -> None:
    picture = Picture(rgb_hwc=np.zeros((2, 2, 3), np.uint8))
    assert EightBitReader(PictureReader(picture)).header.notes == []
