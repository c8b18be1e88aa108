from __future__ import annotations

import numpy as np
import pytest

from runtime.backends.trt.layout import ByteLayout, FloatLayout, Layout
from runtime.errors import BackendError, ImageError
from runtime.image.picture import Samples

LAYOUTS: list[Layout] = [ByteLayout(), FloatLayout()]


def tile(seed: int, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Samples:
    full = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, full, (4, 6, 3), dtype, endpoint=True)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: type(layout).__name__)
def test_tiles_of_a_batch_do_not_touch_each_other(layout: Layout) -> None:
    tiles = [tile(seed) for seed in range(3)]
    buffer = np.zeros(3 * 4 * 6 * 3 * layout.sample_bytes, np.uint8)
    for number in (2, 0, 1):
        layout.write(buffer, number, tiles[number])
    for number, expected in enumerate(tiles):
        np.testing.assert_array_equal(layout.read(buffer.copy(), number, expected, 1), expected)


def test_floats_are_planes_between_0_and_1() -> None:
    buffer = np.zeros(4 * 4 * 6 * 3, np.uint8)
    picture = tile(0, np.uint16)
    FloatLayout().write(buffer, 0, picture)
    planes = buffer.view(np.float32).reshape(3, 4, 6)
    np.testing.assert_allclose(planes, picture.transpose(2, 0, 1) / 65535, rtol=1e-6)
    np.testing.assert_array_equal(FloatLayout().read(buffer, 0, picture, 1), picture)


def test_floats_are_rounded_and_clamped() -> None:
    values = [-0.5, 0.0, 1.49 / 255, 1.51 / 255, 1.0, 7.0]
    planes = np.array(values * 2, np.float32)
    found = FloatLayout().read(planes.view(np.uint8), 0, np.zeros((2, 2, 3), np.uint8), 1)
    assert found.transpose(2, 0, 1).reshape(-1).tolist() == [0, 0, 1, 2, 255, 255] * 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    planes = np.zeros((3, 2, 2), np.float32)
    planes[1, 0, 1] = value
    with pytest.raises(BackendError, match="not finite"):
        FloatLayout().read(planes.reshape(-1).view(np.uint8), 0, np.zeros((2, 2, 3), np.uint8), 1)


def test_bytes_take_8_bits_only() -> None:
    ByteLayout().check(tile(0))
    FloatLayout().check(tile(0, np.uint16))
    with pytest.raises(ImageError, match="takes 8-bit samples"):
        ByteLayout().check(tile(0, np.uint16))


def test_shapes() -> None:
    assert ByteLayout().shape(2, 4, 6) == (2, 4, 6, 3)
    assert FloatLayout().shape(2, 4, 6) == (2, 3, 4, 6)
