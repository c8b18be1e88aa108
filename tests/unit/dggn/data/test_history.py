from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.data.degrade import degrade_bicubic
from dggn.data.history import (
    FILTERS,
    History,
    Noise,
    Save,
    add_noise,
    apply_history,
    reduce,
    save_as_jpeg,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def smooth() -> NDArray[np.uint8]:
    """(96, 112, 3): what every filter reduces to nearly the same."""
    y, x = np.mgrid[0:96, 0:112]
    waves = [128 + 100 * np.sin(x / 16 + phase) * np.cos(y / 19) for phase in (0, 1, 2)]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_shifts_the_picture(smooth: NDArray[np.uint8], name: str) -> None:
    reduced = reduce(smooth, name).astype(float)
    expected = smooth.reshape(24, 4, 28, 4, 3).mean(axis=(1, 3))
    assert np.abs(reduced - expected).max() < 4
    shifted = np.abs(reduced[:, 1:] - expected[:, :-1]).mean()
    assert np.abs(reduced - expected).mean() < shifted / 8


def test_filters_differ(photo: NDArray[np.uint8]) -> None:
    results = [reduce(photo, name).astype(int) for name in FILTERS]
    for number, one in enumerate(results):
        for other in results[:number]:
            assert np.abs(one - other).mean() > 1
    # Inside, Pillow's bicubic is the field's but for rounding; their borders differ.
    difference = reduce(photo, "bicubic").astype(int) - degrade_bicubic(photo)
    assert np.abs(difference[2:-2, 2:-2]).max() <= 1


def test_aliased_bicubic_sees_four_pixels_a_side() -> None:
    dots = np.zeros((32, 32, 3), np.uint8)
    dots[::4] = 255  # Rows that lie at the outer taps, of weight -1/16.
    assert reduce(dots, "bicubic-aliased").max() == 0
    assert reduce(dots, "bicubic").max() > 50


@pytest.mark.parametrize(
    "change",
    [
        {"blur_px": 3.0},
        {"noise_before": Noise(luma=8.0)},
        {"noise_after": Noise(chroma=4.0)},
        {"sharpen_percent": 100},
        {"saves": (Save(quality=40, subsampled=False),)},
        {"saves": (Save(quality=95, subsampled=True),)},
    ],
)
def test_each_step_does_something(photo: NDArray[np.uint8], change: dict[str, object]) -> None:
    plain = History(seed=1)
    changed = apply_history(photo, replace(plain, **change))  # type: ignore[arg-type]
    assert np.array_equal(apply_history(photo, plain), reduce(photo, "bicubic"))
    assert np.abs(changed.astype(int) - reduce(photo, "bicubic")).mean() > 0.5


def test_noise_has_its_strength() -> None:
    grey = np.full((200, 300, 3), 128, np.uint8)
    added = add_noise(grey, Noise(luma=5.0), rng()).astype(float) - 128
    assert added.std() == pytest.approx(5.0, rel=0.02)
    assert (added[..., 0] == added[..., 2]).all(), "luma noise is grey"
    coloured = add_noise(grey, Noise(chroma=5.0), rng()).astype(float) - 128
    assert abs((coloured @ [0.299, 0.587, 0.114]).std()) < 0.5, "chroma noise keeps the light"
    assert coloured[..., 2].std() == pytest.approx(1.772 * 5, rel=0.05)


def test_shot_noise_grows_with_the_light() -> None:
    def strength(level: int) -> float:
        flat = np.full((200, 300, 3), level, np.uint8)
        return float(add_noise(flat, Noise(luma=6.0, shot=True), rng()).std())

    assert strength(128) == pytest.approx(6.0, rel=0.02)
    assert strength(32) == pytest.approx(3.0, rel=0.05)


def test_jpegs_are_those_of_libjpeg(photo: NDArray[np.uint8]) -> None:
    for subsampled, name in ((True, "4:2:0"), (False, "4:4:4")):
        with io.BytesIO() as file:
            Image.fromarray(photo).save(file, "JPEG", quality=60, subsampling=name)
            expected = np.array(Image.open(file))
        assert np.array_equal(
            save_as_jpeg(photo, Save(quality=60, subsampled=subsampled)), expected
        )


def test_a_cropped_jpeg_has_its_blocks_elsewhere(smooth: NDArray[np.uint8]) -> None:
    def edges(shift: tuple[int, int]) -> NDArray[np.float64]:
        saved = save_as_jpeg(smooth, Save(quality=10, subsampled=False, shift_yx=shift))
        assert saved.shape == smooth.shape
        steps = np.abs(np.diff(saved.astype(float) - smooth, axis=1)).mean(axis=(0, 2))
        return np.array([steps[column::8].mean() for column in range(8)])

    assert edges((0, 0)).argmax() == 7
    assert edges((3, 5)).argmax() == 2


def test_mistakes_are_named(photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="111x96: expected multiples of 4"):
        reduce(photo[:, :-1], "box")
    with pytest.raises(ValueError, match="'lanczos3': choose lanczos"):
        reduce(photo, "lanczos3")


def test_bicubic_without_antialiasing_enlarges_as_before(photo: NDArray[np.uint8]) -> None:
    enlarged = bicubic_resize(photo, Fraction(2))
    assert np.array_equal(bicubic_resize(photo, Fraction(2), antialias=False), enlarged)
