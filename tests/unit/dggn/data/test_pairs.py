from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.data.pairs import CropSampler, Pair, read_pair, read_pairs
from runtime.errors import ConfigError


@pytest.fixture
def located() -> Pair:
    """A pair whose HR pixels repeat the LR pixel they belong to, and whose LR pixels differ.

    Red and green are an LR pixel's row and column.
    """
    row, column = np.mgrid[0:20, 0:31]
    lr = np.stack([row, column, np.zeros_like(row)], axis=-1).astype(np.uint8)
    return Pair(name="located", lr_hwc=lr, hr_hwc=lr.repeat(4, axis=0).repeat(4, axis=1))


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


def test_crops_are_aligned(located: Pair) -> None:
    sampler = CropSampler([located], batch_size=64, patch_lr_px=8, seed=0)
    lr, hr = sampler.batch(0)
    assert lr.shape == (64, 8, 8, 3)
    assert hr.shape == (64, 32, 32, 3)
    assert lr.dtype == hr.dtype == np.uint8
    assert np.array_equal(hr, lr.repeat(4, axis=1).repeat(4, axis=2))


def test_crops_are_flipped_and_turned_eight_ways(located: Pair) -> None:
    lr, _ = CropSampler([located], batch_size=200, patch_lr_px=8, seed=0).batch(0)
    rows = lr[..., 0].astype(int)
    columns = lr[..., 1].astype(int)
    ways = {
        (
            *(int(plane[1, 0] - plane[0, 0]) for plane in pair),
            *(int(plane[0, 1] - plane[0, 0]) for plane in pair),
        )
        for pair in zip(rows, columns, strict=True)
    }
    assert len(ways) == 8


def test_crops_reach_every_border(located: Pair) -> None:
    lr, _ = CropSampler([located], batch_size=600, patch_lr_px=8, seed=0).batch(0)
    assert lr[..., 0].min() == lr[..., 1].min() == 0
    assert lr[..., 0].max() == 19
    assert lr[..., 1].max() == 30


def test_batches_depend_on_seed_and_step_alone(located: Pair) -> None:
    def sampler(seed: int) -> CropSampler:
        return CropSampler([located], batch_size=4, patch_lr_px=8, seed=seed)

    first, again = sampler(5), sampler(5)
    first.batch(0)
    for one, other in zip(first.batch(3), again.batch(3), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(first.batch(3)[0], first.batch(4)[0])
    assert not np.array_equal(first.batch(3)[0], sampler(6).batch(3)[0])


def test_pictures_are_drawn_in_proportion_to_their_area() -> None:
    def flat(value: int, width: int) -> Pair:
        lr = np.full((8, width, 3), value, np.uint8)
        return Pair(name="", lr_hwc=lr, hr_hwc=lr.repeat(4, axis=0).repeat(4, axis=1))

    sampler = CropSampler([flat(0, 10), flat(1, 30)], batch_size=1000, patch_lr_px=8, seed=0)
    assert sampler.batch(0)[0][:, 0, 0, 0].mean() == pytest.approx(0.75, abs=0.05)


def test_pictures_smaller_than_a_crop_are_left_out(located: Pair) -> None:
    small = Pair(
        name="small",
        lr_hwc=np.full((7, 40, 3), 255, np.uint8),
        hr_hwc=np.full((28, 160, 3), 255, np.uint8),
    )
    lr, _ = CropSampler([small, located], batch_size=100, patch_lr_px=8, seed=0).batch(0)
    assert lr.max() < 255
    with pytest.raises(ConfigError, match="none of the 1 training pictures is at least 32 px"):
        CropSampler([small], batch_size=1, patch_lr_px=8, seed=0)
