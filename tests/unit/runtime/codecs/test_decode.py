"""Files and images of every kind are decoded upright, in the right colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from runtime.codecs.decode import decode
from runtime.codecs.formats import HAS_AVIF
from tests.support.images import (
    RGB,
    SRGB,
    blocks,
    saved,
)

# --- modes and formats -------------------------------------------------------------------

RGB_CASES = [
    ("a.png", "RGB", {}, 0),
    ("a.jpg", "RGB", {"quality": 100, "subsampling": 0}, 2),
    ("a.webp", "RGB", {"lossless": True}, 0),
    ("a.tif", "RGB", {}, 0),
    ("a.tif", "RGB", {"compression": "tiff_lzw"}, 0),
    ("a.tif", "RGB", {"compression": "jpeg", "quality": 100}, 4),
    ("a.tif", "LAB", {}, 10),  # 8 bits of Lab are coarse
    ("a.bmp", "RGB", {}, 0),
    ("a.png", "P", {}, 0),
    ("a.gif", "P", {}, 0),
    ("a.bmp", "P", {}, 0),
    ("a.tif", "P", {}, 0),
    pytest.param(
        *("a.avif", "RGB", {"quality": 100, "subsampling": "4:4:4"}, 2),
        marks=pytest.mark.skipif(not HAS_AVIF, reason="Pillow without AVIF"),
    ),
]


@pytest.mark.parametrize(("name", "mode", "options", "tolerance"), RGB_CASES)
def test_colours(
    tmp_path: Path, name: str, mode: str, options: dict[str, Any], tolerance: int
) -> None:
    image = Image.fromarray(blocks(RGB))
    if mode == "P":
        image = image.quantize(4)
    elif mode == "LAB":
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        image = converted
    else:
        image = image.convert(mode)
    picture = decode(saved(tmp_path / name, image, **options))
    assert picture.rgb_hwc.dtype == np.uint8
    assert not picture.is_grey
    assert picture.alpha_hw is None
    difference = np.abs(picture.rgb_hwc.astype(int) - blocks(RGB))
    assert difference.max() <= tolerance


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp"])
@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_stays_grey(tmp_path: Path, name: str, mode: str) -> None:
    values = blocks([[0, 255], [255, 0]]) if mode == "1" else blocks([[3, 250], [90, 130]])
    image = Image.fromarray(values).convert(mode)
    options = {"quality": 100} if name == "a.jpg" else {}
    picture = decode(saved(tmp_path / name, image.convert("L") if options else image, **options))
    assert picture.is_grey
    assert np.abs(picture.rgb_hwc.astype(int) - values[..., None]).max() <= (1 if options else 0)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_apart(tmp_path: Path, name: str, mode: str) -> None:
    alpha = blocks([[255, 200], [100, 7]])
    image = Image.fromarray(blocks(RGB)).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    expected = np.asarray(image.convert("RGBA"))
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    picture = decode(saved(tmp_path / name, image, **options))
    assert picture.alpha_hw is not None
    assert np.array_equal(picture.alpha_hw, alpha)
    assert np.array_equal(picture.rgb_hwc, expected[..., :3])
    assert picture.is_grey == (mode == "LA" and name != "a.webp")  # WebP has no grey


def test_opaque_alpha_is_still_alpha(tmp_path: Path) -> None:
    picture = decode(saved(tmp_path / "a.png", Image.new("RGBA", (3, 2), (1, 2, 3, 255))))
    assert picture.alpha_hw is not None
    assert (picture.alpha_hw == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_index_that_stands_for_transparent(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([9, 8, 7, 200, 30, 40, 20, 180, 60])
    picture = decode(saved(tmp_path / name, image, transparency=1))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[255, 0, 255]]
    assert picture.rgb_hwc[0, [0, 2]].tolist() == [[9, 8, 7], [20, 180, 60]]


def test_palette_with_graded_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([9, 8, 7, 200, 30, 40])
    picture = decode(saved(tmp_path / "a.png", image, transparency=bytes([77, 200])))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[77, 200]]
    assert picture.rgb_hwc.tolist() == [[[9, 8, 7], [200, 30, 40]]]


# --- metadata ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_profile_is_kept_byte_for_byte(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, Image.new("RGB", (3, 2)), icc_profile=SRGB)
    assert decode(path).icc_profile == SRGB


@pytest.mark.parametrize(("name", "tolerance"), [("a.jpg", 0), ("a.tif", 0), ("a.png", 0.02)])
def test_resolution_is_kept(tmp_path: Path, name: str, tolerance: float) -> None:
    picture = decode(saved(tmp_path / name, Image.new("RGB", (3, 2)), dpi=(300, 150)))
    assert picture.dpi == pytest.approx((300, 150), abs=tolerance or 1e-6)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_several_frames(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    path = tmp_path / name
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    picture = decode(path)
    assert picture.rgb_hwc[0, 0].tolist() == [255, 0, 0]
    assert [page.rgb_hwc[0, 0].tolist() for page in picture.more] == [[0, 255, 0], [0, 0, 255]]
    assert picture.notes == []


def test_format_is_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "wrong.jpg"
    Image.new("RGB", (3, 2), (9, 8, 7)).save(path, "PNG")
    picture = decode(path)
    assert picture.source_format == "PNG"
    assert picture.rgb_hwc[0, 0].tolist() == [9, 8, 7]
