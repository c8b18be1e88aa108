from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dggn.data.bicubic import bicubic_resize
from dggn.data.crops import CropSampler
from dggn.data.pairs import Pair
from runtime.errors import ConfigError

DIGEST = "e6ba04042d1ec496c546a12496a9adcec4fddea3e6f35733907dc7dbeba4e033"


@pytest.fixture
def located() -> Pair:
    """A pair whose HR pixels repeat the LR pixel they belong to, and whose LR pixels differ.

    Red and green are an LR pixel's row and column.
    """
    row, column = np.mgrid[0:20, 0:31]
    lr = np.stack([row, column, np.zeros_like(row)], axis=-1).astype(np.uint8)
    return Pair(name="located", lr_hwc=lr, hr_hwc=lr.repeat(4, axis=0).repeat(4, axis=1))


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


def test_a_recipes_batches_never_change(located: Pair) -> None:
    # Published runs can be repeated only while a seed means the same crops: the digest is that
    # of the version that trained dggn-lite.
    sampler = CropSampler([located, located], batch_size=8, patch_lr_px=8, seed=1)
    digest = hashlib.sha256()
    for step in range(8):
        for crops in sampler.batch(step):
            digest.update(crops.tobytes())
    assert digest.hexdigest() == DIGEST


def test_horizontal_flips_alone(located: Pair) -> None:
    sampler = CropSampler([located], batch_size=64, patch_lr_px=8, seed=0, rotate=False)
    lr, hr = sampler.batch(0)
    assert np.array_equal(hr, lr.repeat(4, axis=1).repeat(4, axis=2))
    rows, columns = lr[..., 0].astype(int), lr[..., 1].astype(int)
    assert (rows[:, 1, 0] - rows[:, 0, 0] == 1).all()
    assert set(columns[:, 0, 1] - columns[:, 0, 0]) == {1, -1}


def test_scale_jitter_reduces_the_picture_first(located: Pair) -> None:
    sampler = CropSampler([located], batch_size=32, patch_lr_px=8, seed=0, scale_jitter=0.5)
    lr, hr = sampler.batch(0)
    assert lr.shape == (32, 8, 8, 3)
    assert hr.shape == (32, 32, 32, 3)
    # The extent of rows and columns that a crop shows grows up to the double of 8.
    extents = {int(np.ptp(crop[..., 0].astype(int))) for crop in lr}
    assert max(extents) >= 12
    assert min(extents) <= 8
    for lr_crop, hr_crop in zip(lr, hr, strict=True):
        reduced = bicubic_resize(hr_crop, Fraction(1, 4)).astype(int)
        assert np.abs(reduced - lr_crop)[2:-2, 2:-2].max() <= 1


def test_photo_keeps_hr_and_makes_lr_anew(located: Pair) -> None:
    plain = CropSampler([located], batch_size=1, patch_lr_px=8, seed=0)
    photo = CropSampler([located], batch_size=1, patch_lr_px=8, seed=0, degradation="photo")
    for step in range(4):
        (lr, hr), (degraded, same_hr) = plain.batch(step), photo.batch(step)
        assert np.array_equal(hr, same_hr)
        assert degraded.shape == lr.shape
        assert not np.array_equal(degraded, lr)
        assert all(map(np.array_equal, photo.batch(step), (degraded, same_hr)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"degradation": "photos"}, "choose bicubic or photo"), ({"scale_jitter": 1.0}, "0 to 0.75")],
)
def test_options_that_make_no_sense(located: Pair, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CropSampler([located], batch_size=1, patch_lr_px=8, seed=0, **options)
