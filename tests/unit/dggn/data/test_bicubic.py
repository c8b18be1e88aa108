from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dggn.data.bicubic import bicubic_resize
from dggn.data.folder import read_rgb


def test_reproduces_the_published_lr_files(benchmark_folder: Path) -> None:
    paths = sorted(benchmark_folder.glob("*/HR/*.png"))
    assert len(paths) == 19
    for path in paths:
        published = read_rgb(path.parents[1] / "LR_x4" / path.name)
        assert np.array_equal(bicubic_resize(read_rgb(path), Fraction(1, 4)), published), path


def test_antialiased_reduction_by_hand() -> None:
    # The first output pixel is centred between inputs 1 and 2. Inputs 4 to 7, at widened
    # distances 0.625, 0.875, ..., 1.875, weigh 0.3897, 0.0908, -0.0479, -0.0732, -0.0439 and
    # (input 9 is input 7, replicated) -0.0068: 0.3086 of a total of 4, so 200 becomes 15.4.
    step = np.zeros((8, 8, 1), np.uint8)
    step[:, 4:] = 200
    expected = [[15, 185], [15, 185]]
    assert bicubic_resize(step, Fraction(1, 4))[..., 0].tolist() == expected
    reduced = bicubic_resize(step.transpose(1, 0, 2), Fraction(1, 4))[..., 0]
    assert reduced.T.tolist() == expected


def test_enlargement_by_hand() -> None:
    # Keys' cubic weighs 0.8672, 0.2266, -0.0703 and -0.0234 at the distances 0.25, 0.75, 1.25
    # and 1.75. Left of the step by 0.25, the pixels beyond it weigh 0.2266 - 0.0234: 120.3.
    step = np.full((1, 8, 1), 100, np.uint8)
    step[:, 4:] = 200
    row = bicubic_resize(step, Fraction(2))[0, :, 0].tolist()
    assert row == [100] * 5 + [98, 93, 120, 180, 207, 202] + [200] * 5


def test_flat_pictures_stay_flat() -> None:
    flat = np.full((13, 10, 3), 77, np.uint8)
    for scale in (Fraction(1, 4), Fraction(1, 3), Fraction(3, 4), Fraction(4)):
        assert np.unique(bicubic_resize(flat, scale)).tolist() == [77]


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(Fraction(1, 4), (4, 3)), (Fraction(2, 3), (9, 7)), (Fraction(4), (52, 40))],
)
def test_sizes_are_rounded_up(scale: Fraction, expected: tuple[int, int]) -> None:
    result = bicubic_resize(np.zeros((13, 10, 3), np.uint8), scale)
    assert result.shape == (*expected, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
