from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.model.tensors import BYTES, OF_BYTES, PLAIN, SIGNED, TensorFormat

FORMATS = [
    PLAIN,
    TensorFormat(takes=SIGNED, gives=SIGNED),
    TensorFormat(takes=BYTES, gives=BYTES, channels_last=True),
    TensorFormat(sample_type="float16"),
]


def tiles(dtype: Any) -> Any:
    peak = np.iinfo(dtype).max
    values = np.linspace(0, peak, 2 * 4 * 5 * 3).round()
    return values.astype(dtype).reshape(2, 4, 5, 3)


@pytest.mark.parametrize("tensors", FORMATS, ids=str)
def test_black_and_white_become_the_ends_of_the_range(tensors: TensorFormat) -> None:
    fed = tensors.fed(tiles(np.uint8))
    assert fed.dtype == tensors.sample_type
    assert fed.shape == ((2, 4, 5, 3) if tensors.channels_last else (2, 3, 4, 5))
    assert fed.flags.c_contiguous
    assert (fed.min(), fed.max()) == tensors.takes


@pytest.mark.parametrize("tensors", FORMATS, ids=str)
def test_what_is_fed_is_read_back(tensors: TensorFormat) -> None:
    samples = tiles(np.uint8)
    assert np.array_equal(tensors.read(tensors.fed(samples), samples), samples)


def test_16_bits_survive_float32() -> None:
    samples = tiles(np.uint16)
    assert np.array_equal(PLAIN.read(PLAIN.fed(samples), samples), samples)


def test_results_are_rounded_and_clamped() -> None:
    output = np.array([-0.2, 1.7, 99.6 / 255, 99.4 / 255, 0.5, 0.0], np.float32).reshape(1, 3, 1, 2)
    like = np.zeros((1, 1, 2, 3), np.uint8)
    found = PLAIN.read(output, like).transpose(0, 3, 1, 2).ravel()
    assert found.tolist() == [0, 255, 100, 99, 128, 0]


def test_bytes_pass_untouched() -> None:
    samples = tiles(np.uint8)
    fed = OF_BYTES.fed(samples)
    assert fed.dtype == np.uint8
    assert np.array_equal(OF_BYTES.read(fed, samples), samples)


def test_the_text_names_both_ranges_only_where_they_differ() -> None:
    assert str(PLAIN) == "float32 NCHW in [0, 1]"
    bent = TensorFormat(sample_type="float16", channels_last=True, takes=SIGNED, gives=BYTES)
    assert str(bent) == "float16 NHWC in [-1, 1], out in [0, 255]"
