from __future__ import annotations

import numpy as np
import pytest

from runtime.transparency import fill_transparent


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
