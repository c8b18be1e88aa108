from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dggn.onnx_graph.int4 import BLOCK, best_scales, is_packed, nearest, pack_int4, unpack_int4

WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (5, 32, 3, 3)).astype(np.float32)


def test_two_weights_share_a_byte() -> None:
    packed, scale = pack_int4(WEIGHTS)
    assert (packed.dtype.name, packed.shape) == ("uint8", (5, 9, BLOCK // 2))
    assert (scale.dtype.name, scale.shape) == ("float16", (5, 9, 1))
    unpacked = unpack_int4(packed, scale, WEIGHTS.shape)
    error = np.square(unpacked - WEIGHTS).mean() / np.square(WEIGHTS).mean()
    assert 0.005 < error < 0.012, "there are sixteen values only"


def test_every_value_of_four_bits_comes_back() -> None:
    packed = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    scale = np.full((1, 16, 1), 0.25, np.float16)
    values = unpack_int4(packed, scale, (1, 512))
    assert set(np.unique(values)) == {(level - 7.5) * 0.25 for level in range(16)}
    again, scales = pack_int4(values)
    np.testing.assert_array_equal(unpack_int4(again, scales, (1, 512)), values)


def test_no_other_scale_loses_less() -> None:
    blocks = WEIGHTS.reshape(-1, BLOCK)
    best = best_scales(blocks)
    lost = np.square(nearest(blocks, best) - blocks).sum(axis=1)
    for factor in (0.8, 0.9, 1.1, 1.25):
        other = (best * factor).astype(np.float16)
        assert (np.square(nearest(blocks, other) - blocks).sum(axis=1) > lost).mean() > 0.9


def test_blocks_of_zeros_stay_zero() -> None:
    packed, scale = pack_int4(np.zeros((2, BLOCK), np.float32))
    assert not scale.any()
    assert not unpack_int4(packed, scale, (2, BLOCK)).any()


def test_weights_beyond_float16_have_no_scale() -> None:
    huge = np.full((1, BLOCK), 1e9, np.float32)
    assert np.isinf(best_scales(huge)).all()


PACKED: dict[str, Any] = {
    "packed": np.zeros((2, 3, 16), np.uint8),
    "scale": np.ones((2, 3, 1), np.float16),
    "shape": np.array([2, 96]),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"scale": np.ones((2, 3), np.float16)},
        {"scale": np.ones((2, 3, 1), np.float32)},
        {"shape": np.array([2, 95])},
        {"shape": np.array([-2, -96])},
        {"shape": np.array(192)},
        {"shape": np.array([2, 96], np.int32)},
        {"packed": np.zeros((2, 6, 8), np.uint8)},
        {"packed": np.zeros((6, 16), np.uint8)},
    ],
)
def test_packed_weights_that_do_not_fit_are_refused(changed: dict[str, Any]) -> None:
    assert is_packed(**PACKED)
    assert not is_packed(**PACKED | changed)
