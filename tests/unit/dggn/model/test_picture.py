from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")

import torch

from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 24)])
def test_any_size_works(
    tiny_config: GeneratorConfig, photo: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    height, width = size
    result = super_resolve(Generator(tiny_config), photo[:height, :width])
    assert result.shape == (4 * height, 4 * width, 3)
    assert result.dtype == np.uint8


def test_read_only_and_reversed_arrays_work(
    tiny_config: GeneratorConfig, photo: NDArray[np.uint8]
) -> None:
    generator = Generator(tiny_config)
    photo = photo[:16, :16]
    expected = super_resolve(generator, photo[:, ::-1].copy())
    assert np.array_equal(super_resolve(generator, photo[:, ::-1]), expected)
    photo.setflags(write=False)
    super_resolve(generator, photo)


def test_rounds_and_clamps(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    bias = generator.image_tail.last.bias
    assert bias is not None
    torch.nn.init.zeros_(generator.image_tail.last.weight)
    with torch.no_grad():
        bias.copy_(torch.tensor([2.0, -2.0, 0.7 / 255]).repeat_interleave(16))
    result = super_resolve(generator, np.full((8, 8, 3), 100, np.uint8))
    assert result[0, 0].tolist() == [255, 0, 101]
