from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike

from runtime.errors import ConfigError
from runtime.image.arrays import array_like, picture_from_array


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 3), (2, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_comes_back_as_it_was(shape: tuple[int, ...], dtype: DTypeLike) -> None:
    image = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    picture = picture_from_array(image)
    assert picture.rgb_hwc.shape == (2, 5, 3)
    assert picture.is_grey == (len(shape) == 2)
    assert (picture.alpha_hw is not None) == (shape[-1] == 4)
    back = array_like(image, picture)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 5), np.float32), "type is float32: expected uint8 or uint16"),
        (np.zeros((2, 5, 2), np.uint8), r"shape is \(2, 5, 2\): expected"),
        (np.zeros((1, 2, 5, 3), np.uint8), r"shape is \(1, 2, 5, 3\): expected"),
        (np.zeros((0, 5), np.uint8), r"shape is \(0, 5\): expected"),
        (
            b"a file's content",
            "bytes is not an image: expected a path, a PIL image or a NumPy array",
        ),
        (None, "NoneType is not an image"),
    ],
)
def test_what_is_no_picture(image: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        picture_from_array(image)
