from __future__ import annotations

import numpy as np
import pytest

from dggn.metrics.luma import luma_bt601


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
    ],
)
def test_primaries_as_matlab_defines_them(colour: tuple[int, int, int], expected: float) -> None:
    luma = luma_bt601(np.full((2, 3, 3), colour, np.uint8))
    assert luma.shape == (2, 3)
    np.testing.assert_allclose(luma, expected, rtol=0, atol=1e-12)
