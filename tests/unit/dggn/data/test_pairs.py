from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.data.pairs import read_pair, read_pairs
from runtime.errors import ConfigError


def test_hr_is_cropped_and_lr_made(photo_folder: Path, photo: NDArray[np.uint8]) -> None:
    Image.fromarray(photo[:95, :110]).save(photo_folder / "one.png")
    one, two = read_pairs([photo_folder])
    assert [one.name, two.name] == ["one.png", "two.png"]
    assert np.array_equal(one.hr_hwc, photo[:92, :108])
    assert np.array_equal(one.lr_hwc, bicubic_resize(photo[:92, :108], Fraction(1, 4)))


def test_given_lr_is_used(photo_folder: Path) -> None:
    Image.new("RGB", (28, 24), (1, 2, 3)).save(photo_folder / "lr.png")
    pair = read_pair(photo_folder / "one.png", photo_folder / "lr.png")
    assert pair.lr_hwc[0, 0].tolist() == [1, 2, 3]


def test_sizes_that_do_not_fit(photo_folder: Path) -> None:
    Image.new("RGB", (28, 23)).save(photo_folder / "lr.png")
    with pytest.raises(ConfigError, match=r"lr\.png is 28x23: expected 28x24, a quarter of"):
        read_pair(photo_folder / "one.png", photo_folder / "lr.png")


def test_pictures_too_small_to_reduce(tmp_path: Path) -> None:
    Image.new("RGB", (3, 9)).save(tmp_path / "small.png")
    with pytest.raises(ConfigError, match=r"small\.png is 3x9: too small"):
        read_pair(tmp_path / "small.png")
