"""PIL images in memory become pictures, and pictures PIL images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from runtime.codecs.decode import decode
from runtime.codecs.pil import image_from_picture, picture_from_image
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from tests.support.images import (
    DEEP,
    RGB,
    SRGB,
    blocks,
    saved,
)


def test_tiff_without_a_resolution_has_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.new("RGB", (3, 2)))
    assert decode(path).dpi is None
    with Image.open(path) as image:
        assert picture_from_image(image).dpi is None


def test_a_jpeg_without_a_resolution_gets_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["dpi"] == (72, 72), "Pillow's own"
    assert decode(tmp_path / "a.jpg").dpi is None
    exif[Base.XResolution] = exif[Base.YResolution] = 72.0
    Image.new("RGB", (8, 8)).save(tmp_path / "b.jpg", exif=exif)
    assert decode(tmp_path / "b.jpg").dpi == (72, 72)


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 72), "x", 3, (72,), (1e9, 1e9)])
def test_senseless_resolution_is_dropped(dpi: Any) -> None:
    image = Image.new("L", (3, 2))
    image.info["dpi"] = dpi
    assert picture_from_image(image).dpi is None


@pytest.mark.parametrize("mode", ["RGB", "RGBX", "YCbCr", "HSV", "P"])
def test_colour_images(mode: str) -> None:
    image = Image.fromarray(blocks(RGB, 1))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    picture = picture_from_image(image)
    assert np.abs(picture.rgb_hwc.astype(int) - blocks(RGB, 1)).max() <= 3
    assert picture.alpha_hw is None


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa"])
def test_alpha_images(mode: str) -> None:
    plain = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    image = Image.new(plain, (3, 2), (100, 128) if plain == "LA" else (100, 50, 20, 128))
    picture = picture_from_image(image.convert(mode))
    assert picture.alpha_hw is not None
    assert (picture.alpha_hw == 128).all()
    expected = [100, 100, 100] if plain == "LA" else [100, 50, 20]
    assert np.abs(picture.rgb_hwc[0, 0].astype(int) - expected).max() <= 1


def test_palette_image_with_alpha() -> None:
    image = Image.new("PA", (3, 2), (1, 128))
    image.putpalette([9, 8, 7, 200, 30, 40])
    picture = picture_from_image(image)
    assert picture.rgb_hwc[0, 0].tolist() == [200, 30, 40]
    assert picture.alpha_hw is not None
    assert (picture.alpha_hw == 128).all()


def test_integer_image() -> None:
    image = Image.fromarray(np.array([DEEP], np.int32))
    assert image.mode == "I"
    picture = picture_from_image(image)
    assert picture.rgb_hwc.dtype == np.uint16
    assert picture.rgb_hwc[0, :, 0].tolist() == DEEP


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_beyond_16_bits_are_refused(value: int) -> None:
    with pytest.raises(ImageReadError, match="mode I"):
        picture_from_image(Image.fromarray(np.array([[0, value]], np.int32)))


def test_float_image_is_refused() -> None:
    with pytest.raises(ImageReadError, match="mode F"):
        picture_from_image(Image.new("F", (3, 2)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_there_and_back(mode: str) -> None:
    noise = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(noise.integers(0, 65536, (5, 7), np.uint16))
    else:
        bands = [Image.fromarray(noise.integers(0, 256, (5, 7), np.uint8)) for _ in mode]
        image = Image.merge(mode, bands)
    profile = SRGB if "RGB" in mode else SRGB.replace(b"RGB ", b"GRAY", 1)
    image.info |= {"icc_profile": profile, "dpi": (300.0, 150.0)}
    back = image_from_picture(picture_from_image(image))
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(image))
    assert back.info["icc_profile"] == profile
    assert back.info["dpi"] == (300.0, 150.0)


def test_16_bit_colour_becomes_the_nearest_8_bits() -> None:
    values = np.array([0, 128, 129, 385, 386, 65535], np.uint16).reshape(1, 2, 3)
    picture = Picture(rgb_hwc=values)
    image = image_from_picture(picture)
    assert image.mode == "RGB"
    assert np.asarray(image).reshape(-1).tolist() == [0, 0, 1, 1, 2, 255]


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(ImageReadError, match="no pixels"):
        picture_from_image(Image.new("RGB", (0, 5)))
