"""16-bit colours, which Pillow reads as 8."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from runtime.codecs.decode import decode
from runtime.errors import ImageReadError
from tests.support.images import (
    DEEP,
    chunk,
    png_16,
    tiff,
    written,
)


def test_deep_grey_level_that_stands_for_transparent(tmp_path: Path) -> None:
    data = png_16(DEEP, 0, 4, chunk(b"tRNS", struct.pack(">H", 0x1234)))
    picture = decode(written(tmp_path / "a.png", data))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.dtype == np.uint16
    assert picture.alpha_hw.tolist() == [[65535, 65535, 0, 65535]]


@pytest.mark.parametrize(
    ("colour", "channels", "is_grey"), [(2, 3, False), (4, 2, True), (6, 4, False)]
)
def test_deep_png_keeps_16_bits(tmp_path: Path, colour: int, channels: int, is_grey: bool) -> None:
    values = [0x1200, 0x80FF, 0xFFFF, 0x4000][:channels]
    picture = decode(written(tmp_path / "a.png", png_16(values, colour, 1)))
    assert picture.rgb_hwc.dtype == np.uint16
    assert picture.is_grey == is_grey
    assert picture.rgb_hwc[0, 0].tolist() == (values[:1] * 3 if is_grey else values[:3])
    assert picture.notes == []
    assert (picture.alpha_hw is not None) == (colour >= 4)
    if picture.alpha_hw is not None:
        assert picture.alpha_hw[0, 0] == values[-1]


def test_deep_tiff_keeps_16_bits(tmp_path: Path) -> None:
    tags: dict[int, int | tuple[int, ...]] = {258: (16, 16, 16), 262: 2, 277: 3}
    path = written(tmp_path / "a.tif", tiff(1, struct.pack("<3H", 0x1201, 0x80FF, 0xFFFF), tags))
    picture = decode(path)
    assert picture.rgb_hwc.tolist() == [[[0x1201, 0x80FF, 0xFFFF]]]
    assert picture.notes == []


def test_deep_premultiplied_tiff_is_divided_by_its_alpha(tmp_path: Path) -> None:
    tags: dict[int, int | tuple[int, ...]] = {258: (16, 16, 16, 16), 262: 2, 277: 4, 338: 1}
    samples = struct.pack("<4H", 10001, 0, 20002, 40004)
    picture = decode(written(tmp_path / "a.tif", tiff(1, samples, tags)))
    assert picture.rgb_hwc[0, 0].tolist() == [
        round(10001 * 65535 / 40004),
        0,
        round(20002 * 65535 / 40004),
    ]
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[40004]]


REFUSED: dict[str, tuple[dict[int, int | tuple[int, ...]], str]] = {
    "signed": ({339: 2}, "signed or complex"),
    "32-bit": ({258: 32}, "not 8 or 16 bits unsigned"),
    "24-bit-float": ({258: 24, 339: 3}, "neither grey nor RGB of 16, 32 or 64 bits"),
    "camera": ({262: 32803}, "raw sensor data"),
    "jpeg-xl": ({259: 50002}, "compressed with JPEG XL"),
    "inks": ({258: (16,) * 4, 262: 5, 277: 4, 332: 2}, "inks are not those of CMYK"),
}


def test_deep_planes(tmp_path: Path) -> None:
    planes = struct.pack("<6H", 1, 300, 2, 65535, 770, 0)
    tags: dict[int, int | tuple[int, ...]] = {
        258: (16, 16, 16),
        262: 2,
        277: 3,
        284: 2,
        273: (0, 0, 0),
        279: (4, 4, 4),
    }
    end = len(tiff(2, b"", tags))
    tags[273] = (end, end + 4, end + 8)
    path = written(tmp_path / "a.tif", tiff(2, b"", tags) + planes)
    assert decode(path).rgb_hwc.tolist() == [[[1, 2, 770], [300, 65535, 0]]]


@pytest.mark.parametrize("kind", REFUSED)
def test_tiff_that_would_be_misread_is_refused(tmp_path: Path, kind: str) -> None:
    tags, words = REFUSED[kind]
    with pytest.raises(ImageReadError, match=rf"^a\.tif: .*{words}.*: (convert|save|develop) it"):
        decode(written(tmp_path / "a.tif", tiff(2, bytes(16), tags)))
