"""The header of a large file gives the same facts as decoding a small one."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from runtime.codecs.decode import decode
from runtime.codecs.large_header import read_large_header
from runtime.errors import ImageReadError
from tests.support.images import SRGB

FIELDS = ("is_grey", "icc_profile", "exif", "dpi", "xmp", "text", "source_format", "notes")


def noise(mode: str) -> Image.Image:
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    return Image.fromarray(samples).convert(mode)


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F] = "Camera"
    tags[0x0112] = orientation
    return tags


def words() -> PngInfo:
    info = PngInfo()
    info.add_text("Title", "Coast")
    return info


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {"icc_profile": SRGB, "exif": exif(), "pnginfo": words()}),
        ("a.jpg", "RGB", {"icc_profile": SRGB, "exif": exif(), "dpi": (300, 300)}),
        ("a.jpg", "L", {"comment": b"words"}),
        ("a.tiff", "RGB", {"dpi": (200, 200), "compression": "tiff_lzw"}),
        ("a.png", "L", {}),
    ],
)
def test_metadata_is_what_decoding_gives(
    tmp_path: Path, name: str, mode: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    noise(mode).save(path, **options)
    header, picture = read_large_header(path), decode(path)
    assert header.size_hw == picture.size_hw == (20, 30)
    for field in FIELDS:
        assert getattr(header.metadata, field) == getattr(picture, field), field
    assert header.metadata.rgb_hwc.shape == (1, 1, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_sizes_are_as_stored_beside_the_orientation(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    noise("RGB").save(path, exif=exif(6))
    header = read_large_header(path)
    assert (header.size_hw, header.orientation) == ((20, 30), 6)
    assert decode(path).size_hw == (30, 20)


def test_samples_that_are_spread_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for progressive in (False, True):
        noise("RGB").save(path, progressive=progressive)
        assert read_large_header(path).is_progressive is progressive


def pages(path: Path) -> None:
    noise("RGB").save(path, save_all=True, append_images=[noise("RGB")])


def premultiplied(path: Path) -> None:
    noise("RGBA").save(path)
    unassociated, associated = (struct.pack("<HHIHH", 338, 3, 1, kind, 0) for kind in (2, 1))
    path.write_bytes(path.read_bytes().replace(unassociated, associated))


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.tiff", pages, "has 2 pages"),
        ("a.png", pages, "is an animation"),
        ("a.tiff", premultiplied, "premultiplied with alpha"),
        ("a.webp", lambda path: noise("RGB").save(path), "not one of PNG, JPEG, TIFF"),
        ("a.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "is damaged"),
        ("a.png", lambda path: path.write_bytes(b"8BPS" + bytes(40)), "a Photoshop document"),
    ],
)
def test_what_cannot_be_read_in_strips(tmp_path: Path, name: str, write: Any, said: str) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(ImageReadError, match=said):
        read_large_header(path)
