from __future__ import annotations

import numpy as np
import pytest

from runtime.image.transparency import fill_transparent, without_steps


def cut_out(
    size_hw: tuple[int, int] = (37, 53), kind: type = np.uint8
) -> tuple[np.ndarray, np.ndarray]:
    """A red disc, dark at its left, on hidden green."""
    full = np.iinfo(kind).max
    rows, columns = np.indices(size_hw)
    alpha: np.ndarray = np.where((rows - 18) ** 2 + (columns - 26) ** 2 < 200, full, 0).astype(kind)
    rgb: np.ndarray = np.zeros((*size_hw, 3), kind)
    rgb[..., 1] = full
    rgb[alpha > 0] = (full, 0, 0)
    rgb[(alpha > 0) & (columns < 26)] = (full // 2, 0, 0)
    return rgb, alpha


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_hidden_colours_become_those_beside_them(kind: type) -> None:
    rgb, alpha = cut_out(kind=kind)
    before = rgb.copy()
    result = fill_transparent(rgb, alpha)
    np.testing.assert_array_equal(rgb, before)
    assert result.dtype == kind
    np.testing.assert_array_equal(result[alpha > 0], rgb[alpha > 0])
    full = float(np.iinfo(kind).max)
    assert (result[..., 1:] <= 0.01 * full).all(), "no green is left"
    assert result[18, 11, 0] == pytest.approx(full / 2, rel=0.05), "beside the dark side"
    assert result[18, 41, 0] == pytest.approx(full, rel=0.05), "beside the bright side"


def test_faint_colours_stay() -> None:
    rgb, alpha = cut_out()
    alpha[alpha == 0] = 1
    assert fill_transparent(rgb, alpha) is rgb


def test_wholly_transparent_stays() -> None:
    rgb, alpha = cut_out()
    assert fill_transparent(rgb, np.zeros_like(alpha)) is rgb


@pytest.mark.parametrize("size_hw", [(1, 2), (2, 1), (1, 300), (5, 3)])
def test_small_and_narrow(size_hw: tuple[int, int]) -> None:
    rgb = np.full((*size_hw, 3), 7, np.uint8)
    alpha = np.zeros(size_hw, np.uint8)
    rgb[0, 0], alpha[0, 0] = (200, 100, 50), 255
    result = fill_transparent(rgb, alpha).astype(int)
    assert np.abs(result - (200, 100, 50)).max() <= 2


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mask_loses_its_steps(kind: type) -> None:
    """Along a slanted edge, the opaque part of each column changes by whole pixels."""
    full = int(np.iinfo(kind).max)
    rows, columns = np.indices((40, 60))
    mask: np.ndarray = np.where(rows > 5 + columns / 2, full, 0).astype(kind)
    heights = mask.sum(axis=0, dtype=float) / full
    soft = without_steps(mask)
    assert soft.dtype == kind
    softened = soft.sum(axis=0, dtype=float) / full
    assert np.abs(np.diff(heights)).max() == 1
    assert np.abs(np.diff(softened[2:-2])).max() < 0.75
    # The outline does not move.
    assert np.abs(softened - heights).max() < 0.6
    assert np.array_equal(soft[(rows > 8 + columns / 2)], mask[(rows > 8 + columns / 2)])


def test_straight_edges_and_thin_parts_of_a_mask_stay() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[2:9, 3:12] = 255  # a box,
    mask[12, 3:25] = 255  # a line,
    mask[16, 20] = 255  # a dot,
    mask[5, 7] = 0  # a hole
    soft = without_steps(mask).astype(int)
    assert (soft[4:7, 3] > 220).all()
    assert (soft[4:7, 2] < 35).all()
    assert (soft[12, 3:25] > 220).all()
    assert soft[16, 20] > 220
    assert soft[5, 7] < 35


def test_what_is_no_mask_stays() -> None:
    soft = np.array([[0, 128, 255]], np.uint8)
    for alpha in (soft, np.zeros_like(soft), np.full_like(soft, 255)):
        assert without_steps(alpha) is alpha
