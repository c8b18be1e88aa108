"""EXIF: the orientation is applied, and other data kept if it still applies."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.exif import exif_for
from runtime.codecs.output import OutputSettings
from runtime.codecs.pil import picture_from_image
from runtime.image.picture import Picture
from tests.support.images import (
    SIZE_HW,
    blocks,
    picture_of,
    read_back,
    saved,
    smooth,
)

# How viewers show the rows 1 2 3 and 4 5 6, by EXIF 2.32, 4.6.4 A.
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def oriented(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 100}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_orientation_is_applied_once(
    tmp_path: Path, name: str, options: dict[str, Any], orientation: int
) -> None:
    stored = blocks([[40, 80, 120], [160, 200, 240]], 16)
    image = Image.fromarray(stored)
    picture = decode(
        saved(tmp_path / name, image, exif=oriented(orientation), dpi=(300, 150), **options)
    )
    shown = picture.rgb_hwc[8::16, 8::16, 0].astype(int)
    assert picture.size_hw == tuple(16 * size for size in shown.shape)
    assert np.abs(shown - 40 * np.array(UPRIGHT[orientation])).max() <= 1
    assert picture.exif is None  # it held only the orientation
    if name == "a.jpg":
        assert picture.dpi == ((150, 300) if orientation >= 5 else (300, 150))


def test_alpha_turns_with_the_picture(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    image.putalpha(image.copy())
    picture = decode(saved(tmp_path / "a.png", image, exif=oriented(6)))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == UPRIGHT[6]


def test_16_bits_turn_too(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint16))
    picture = decode(saved(tmp_path / "a.png", image, exif=oriented(8)))
    assert picture.rgb_hwc[..., 0].tolist() == UPRIGHT[8]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientation_is_ignored(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    picture = decode(saved(tmp_path / "a.png", image, exif=oriented(orientation)))
    assert picture.rgb_hwc[..., 0].tolist() == UPRIGHT[1]


def photo_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Make] = "Maker"
    exif[Base.Orientation] = 6
    exif[Base.ImageWidth] = 999
    exif[IFD.Exif] = {
        Base.DateTimeOriginal: "2024:05:06 07:08:09",
        Base.MakerNote: b"private",
        Base.ExifImageWidth: 3,
        Base.ExifImageHeight: 2,
    }
    exif[IFD.GPSInfo] = {1: "N", 2: (47.0, 30.0, 0.0)}
    return exif


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_is_kept_without_what_describes_the_file(tmp_path: Path, name: str) -> None:
    exif = photo_exif()
    if name == "a.tif":
        del exif[Base.ImageWidth]
    block = exif.tobytes()
    picture = decode(saved(tmp_path / name, Image.new("RGB", (3, 2)), exif=block))
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[Base.Make] == "Maker"
    assert kept.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert kept.get_ifd(IFD.Exif)[Base.MakerNote] == b"private"
    assert kept.get_ifd(IFD.GPSInfo)[2] == (47.0, 30.0, 0.0)
    assert set(kept) == {Base.Make, IFD.Exif, IFD.GPSInfo}


def test_thumbnail_is_dropped(tmp_path: Path) -> None:
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "JPEG")
    ifd0 = struct.pack("<HHHIIHHII", 2, 271, 2, 2, 0x41, 274, 3, 1, 6)
    ifd1 = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 68, 514, 4, 1, len(small.getvalue()), 0)
    block = b"II*\0" + struct.pack("<I", 8) + ifd0 + struct.pack("<I", 38) + ifd1
    exif = b"Exif\0\0" + block + small.getvalue()
    picture = decode(saved(tmp_path / "a.jpg", Image.new("RGB", (3, 2)), exif=exif))
    assert picture.size_hw == (3, 2)
    assert picture.exif is not None
    assert small.getvalue() not in picture.exif
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == {Base.Make: "A"}
    assert kept.get_ifd(IFD.IFD1) == {}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize(
    "damaged",
    [
        b"nonsense, and long enough",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\x30\0" + b"\xff" * 40,
        b"MM\0*\0\0\0\x08\0\x02\x01\x12\0\x02\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path, name: str, damaged: bytes) -> None:
    image = Image.new("RGB", (3, 2), (9, 8, 7))
    picture = decode(saved(tmp_path / name, image, exif=b"Exif\0\0" + damaged))
    assert picture.size_hw == (2, 3)
    assert picture.exif is None


def test_unreadable_exif_is_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)), exif=b"Exif\0\0nonsense, nonsense")
    assert decode(path).notes == ["EXIF is damaged and was dropped"]


def test_image_is_not_changed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (3, 2)), exif=photo_exif())
    with Image.open(path) as image:
        before = dict(image.getexif())
        picture = picture_from_image(image)
        assert picture.size_hw == (3, 2)
        assert image.size == (3, 2)
        assert dict(image.getexif()) == before
        assert image.getexif()[Base.Orientation] == 6


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[Base.Make] = "Maker"
    exif[IFD.Exif] = {
        Base.DateTimeOriginal: "2024:05:06 07:08:09",
        Base.ExifImageWidth: 10,
        Base.ExifImageHeight: 6,
    }
    exif[IFD.GPSInfo] = {1: "N"}
    return exif.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_comes_back_with_the_new_size(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"a{suffix}"
    assert encode(picture_of("rgb", exif=exif_block()), target, OutputSettings()) == []
    image = read_back(target)
    exif = image.getexif()
    assert exif[Base.Make] == "Maker"
    assert Base.Orientation not in exif
    details = exif.get_ifd(IFD.Exif)
    assert details[Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert (details[Base.ExifImageHeight], details[Base.ExifImageWidth]) == SIZE_HW
    assert exif.get_ifd(IFD.GPSInfo) == {1: "N"}
    assert image.size == (SIZE_HW[1], SIZE_HW[0])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_texts_keep_their_bytes(tmp_path: Path, suffix: str, encoding: str) -> None:
    """EXIF is ASCII by its standard, and whatever cameras and programs write in practice."""
    texts = [text.encode(encoding) for text in ("© Müller", "Größe", "Zoom für Müller")]
    stand_ins = [letter * len(text) for letter, text in zip("xyz", texts, strict=True)]
    exif = Image.Exif()
    exif[Base.Copyright], exif[Base.ImageDescription] = stand_ins[:2]
    exif[IFD.Exif] = {Base.LensModel: stand_ins[2]}
    block = exif.tobytes()
    for stand_in, text in zip(stand_ins, texts, strict=True):
        block = block.replace(stand_in.encode(), text)
    source, target = tmp_path / f"source{suffix}", tmp_path / f"a{suffix}"
    Image.new("RGB", (8, 8)).save(source, exif=block)
    if suffix == ".tif":  # Pillow's own writer does not keep them
        encode(picture_of("rgb", exif=block), source, OutputSettings())
    encode(decode(source), target, OutputSettings())
    assert [text for text in texts if text not in target.read_bytes()] == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("exif", [b"nonsense", b"II*\0\x08\0\0\0\xff\xff" + bytes(9)])
def test_damaged_exif_does_not_cost_the_result(tmp_path: Path, suffix: str, exif: bytes) -> None:
    picture = picture_of("rgb", exif=b"Exif\0\0" + exif)
    encode(picture, tmp_path / f"a{suffix}", OutputSettings(quality=100))
    found = np.asarray(read_back(tmp_path / f"a{suffix}").convert("RGB")).astype(int)
    assert np.abs(found - smooth(3)).max() <= (5 if suffix == ".jpg" else 0)


def test_damaged_exif_is_reported(tmp_path: Path) -> None:
    picture = picture_of("rgb", exif=b"Exif\0\0nonsense")
    assert encode(picture, tmp_path / "a.png", OutputSettings()) == [
        "EXIF is damaged and was dropped"
    ]


def test_exif_too_long_for_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = "x" * 70_000
    picture = picture_of("rgb", exif=exif.tobytes())
    notes = encode(picture, tmp_path / "a.jpg", OutputSettings())
    assert notes == ["EXIF was dropped: JPEG stores at most 65533 bytes of it"]
    assert encode(picture, tmp_path / "a.png", OutputSettings()) == []


def empty_block() -> Image.Exif:
    block = Image.Exif()
    block[IFD.Exif] = {}
    block[Base.Orientation] = 6
    return block


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_an_empty_block_is_not_added(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png", exif=empty_block())
    picture = decode(tmp_path / "a.png")
    assert picture.exif is None
    encode(picture, tmp_path / f"b{suffix}", OutputSettings())
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert "exif" not in image.info
        assert IFD.Exif not in image.getexif()


def test_a_block_for_the_resolution_holds_that_alone() -> None:
    picture = Picture(rgb_hwc=np.zeros((2, 3, 3), np.uint8), dpi=(300.0, 150.0))
    content, notes = exif_for(picture, with_dpi=True)
    assert content is not None
    block = Image.Exif()
    block.load(content)
    assert set(block) == {Base.XResolution, Base.YResolution, Base.ResolutionUnit}
    assert (block[Base.XResolution], notes) == (300, [])
