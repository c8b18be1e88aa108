from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.degrade import (
    PhotoDegradation,
    check_degradation,
    degrade_bicubic,
    degrade_photo,
)
from runtime.errors import ConfigError

GENTLE = PhotoDegradation(
    blur_sigma_px=(0.1, 0.1),
    resize=(1.0, 1.0),
    noise_levels=(0.0, 0.0),
    poisson_scale=(0.0, 0.0),
    jpeg_quality=(100, 100),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_bicubic_is_the_fields(photo: NDArray[np.uint8]) -> None:
    assert np.array_equal(degrade_bicubic(photo), bicubic_resize(photo, Fraction(1, 4)))


def test_photo_depends_on_the_seed_alone(photo: NDArray[np.uint8]) -> None:
    first = degrade_photo(photo, rng(1))
    assert first.shape == (24, 28, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, degrade_photo(photo, rng(1)))
    assert not np.array_equal(first, degrade_photo(photo, rng(2)))


def test_photo_stays_in_its_place(photo: NDArray[np.uint8]) -> None:
    # Smooth red: without noise only resampling is left, which must not shift the picture.
    red = photo.copy()
    red[..., 1:] = red[..., :1]
    for seed in range(4):
        degraded = degrade_photo(red, rng(seed), GENTLE).astype(float)
        expected = degrade_bicubic(red).astype(float)
        assert np.abs(degraded - expected).mean() < 3


def test_flat_pictures_stay_flat_without_noise() -> None:
    flat = np.full((40, 64, 3), 100, np.uint8)
    limits = PhotoDegradation(noise_levels=(0.0, 0.0), poisson_scale=(0.0, 0.0))
    for seed in range(4):
        degraded = degrade_photo(flat, rng(seed), limits)
        assert np.abs(degraded.astype(int) - 100).max() <= 2


def test_each_step_does_something(photo: NDArray[np.uint8]) -> None:
    plain = degrade_photo(photo, rng(), GENTLE).astype(float)
    for stronger in (
        {"blur_sigma_px": (3.0, 3.0)},
        {"noise_levels": (15.0, 15.0), "poisson_scale": (1.5, 1.5)},
        {"jpeg_quality": (10, 10)},
    ):
        changed = degrade_photo(photo, rng(), replace(GENTLE, **stronger))
        assert np.abs(changed - plain).mean() > 2, stronger


def test_unknown_degradations_are_refused() -> None:
    with pytest.raises(ConfigError, match="degradation is 'photos': choose bicubic or photo"):
        check_degradation("photos")
