"""Enlarged alpha is smooth, not shifted, and constant where it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.image.resize import enlarge_alpha

TYPES = [np.uint8, np.uint16]
Type = type[np.uint8] | type[np.uint16]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_constant_alpha_stays_constant(dtype: Type, scale: int) -> None:
    full = int(np.iinfo(dtype).max)
    for value in range(0, full + 1, full // 51):
        alpha: NDArray[Any] = np.full((3, 5), value, dtype)
        result = enlarge_alpha(alpha, scale)
        assert result.shape == (3 * scale, 5 * scale)
        assert result.dtype == dtype
        assert (result == value).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_alpha_edge_is_smooth_and_in_place(dtype: Type) -> None:
    full = int(np.iinfo(dtype).max)
    alpha: NDArray[Any] = np.zeros((6, 8), dtype)
    alpha[:, 4:] = full
    row = enlarge_alpha(alpha, 4)[12].astype(float) / full
    assert (np.diff(row) >= 0).all()
    assert ((row > 0.01) & (row < 0.99)).sum() >= 3
    assert row[15] < 0.5 < row[16]
    assert row[15] + row[16] == pytest.approx(1, abs=0.01)
    assert row[:10].max() == 0
    assert row[22:].min() == 1


def test_alpha_of_one_pixel() -> None:
    assert enlarge_alpha(np.array([[77]], np.uint8), 4).tolist() == [[77] * 4] * 4


def test_alpha_may_be_a_view() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    view = rgba[..., 3]
    assert np.array_equal(enlarge_alpha(view, 4), enlarge_alpha(view.copy(), 4))
