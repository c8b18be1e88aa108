"""Colours that files state without a profile are kept or rejected."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from runtime.codecs import decode as decode_module
from runtime.codecs.colour_marks import bits_of_boxes
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.header import read_outline
from runtime.codecs.large_header import read_large_header
from runtime.codecs.output import OutputSettings
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.stated_colours import ADOBE_RGB, colours_of_cicp

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
BT709 = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(*extra: bytes, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (6, 4)).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:33] + b"".join(extra) + data[33:]


def cicp(primaries: int, transfer: int, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, full]))


def gama(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(points: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in points)))


SAYS_SRGB = chunk(b"sRGB", b"\0")
PROFILE = chunk(b"iCCP", b"x\0\0" + zlib.compress(ICC))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("blocks", "by"),
    [
        ([cicp(12, 13)], "cICP"),
        ([cicp(12, 13), PROFILE], "cICP"),
        ([cicp(1, 8), SAYS_SRGB], "cICP"),
        ([gama(1.0)], "gAMA"),
        ([gama(1 / 1.8), chrm(BT709)], "gAMA and cHRM"),
        ([gama(0.45455), chrm(P3)], "gAMA and cHRM"),
        ([chrm(P3)], "cHRM"),
    ],
)
def test_png_gets_a_profile(tmp_path: Path, mode: str, blocks: list[bytes], by: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(*blocks, mode=mode))
    picture = decode(path)
    assert picture.icc_profile is not None
    assert picture.icc_profile[16:20] == (b"GRAY" if mode == "L" else b"RGB ")
    assert f"an ICC profile was made of the colours that {by} states" in picture.notes
    # In strips, too.
    assert read_large_header(path).metadata.icc_profile == picture.icc_profile


@pytest.mark.parametrize(
    "blocks",
    [
        [cicp(1, 13)],
        [cicp(1, 13), PROFILE],
        [SAYS_SRGB, gama(1.0), chrm(P3)],
        [gama(0.45455)],
        [gama(0.45455), chrm(BT709)],
        [gama(0)],
        [chrm((0.0,) * 8)],
        [],
    ],
)
def test_png_in_srgb_gets_none(tmp_path: Path, blocks: list[bytes]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(*blocks))
    picture = decode(path)
    assert picture.icc_profile is None
    assert picture.notes == []


def test_a_profile_counts_more_than_gamma(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(gama(1.0), PROFILE))
    assert decode(path).icc_profile == ICC


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (cicp(9, 16), r"HDR \(PQ, by cICP\)"),
        (cicp(9, 18), r"HDR \(HLG, by cICP\)"),
        (cicp(1, 13, full=0), "video range"),
    ],
)
def test_png_that_would_be_mislabelled_is_refused(tmp_path: Path, block: bytes, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(block))
    for read in (decode, read_outline, read_large_header):
        with pytest.raises(ImageReadError, match=words):
            read(path)


def test_what_cannot_hold_a_profile_is_converted(tmp_path: Path) -> None:
    """Linear light of one half is 188 in sRGB."""
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (128, 128, 128)).save(buffer, "PNG")
    data = buffer.getvalue()
    (tmp_path / "a.png").write_bytes(data[:33] + gama(1.0) + data[33:])
    picture = decode(tmp_path / "a.png")
    notes = encode(picture, tmp_path / "b.bmp", OutputSettings())
    assert any("converted to sRGB" in note for note in notes)
    with Image.open(tmp_path / "b.bmp") as image:
        assert np.abs(np.asarray(image).astype(int) - 188).max() <= 1


def avif(path: Path, **options: Any) -> None:
    Image.new("RGB", (64, 64), (200, 60, 30)).save(path, "AVIF", quality=90, **options)


def heic(path: Path, **options: Any) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (64, 64), (200, 60, 30))
    pillow_heif.from_pillow(image).save(path, quality=90, **options)


def with_nclx(path: Path, primaries: int, transfer: int) -> None:
    """Change the colours in a file's boxes."""
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    struct.pack_into(">HH", data, at, primaries, transfer)
    path.write_bytes(data)


BOXED = [
    pytest.param(avif, "a.avif", marks=pytest.mark.skipif(not HAS_AVIF, reason="Pillow has none")),
    (heic, "a.heic"),
]


@pytest.mark.parametrize(("write", "name"), BOXED)
def test_nclx_gets_a_profile(tmp_path: Path, write: Callable[..., None], name: str) -> None:
    path = tmp_path / name
    write(path)
    assert decode(path).icc_profile is None
    with_nclx(path, 12, 13)
    picture = decode(path)
    assert picture.icc_profile == colours_of_cicp(12, 13, by="nclx").profile(is_grey=False)
    assert picture.notes == ["an ICC profile was made of the colours that nclx states"]
    read_outline(path)
    with_nclx(path, 9, 16)
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=r"HDR \(PQ, by nclx\)"):
            read(path)


@pytest.mark.skipif(not HAS_AVIF, reason="Pillow has none")
@pytest.mark.parametrize(("flags", "bits"), [(0x00, 8), (0x40, 10), (0x60, 12)])
def test_avif_of_more_than_8_bits_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, bits: int
) -> None:
    path = tmp_path / "a.avif"
    avif(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"av1C") + 6] |= flags
    assert bits_of_boxes(io.BytesIO(data)) == bits
    assert bits_of_boxes(io.BytesIO(data[:40])) == 8
    # Pillow writes 8 bits only.
    monkeypatch.setattr(decode_module, "bits_of_boxes", lambda file: bits)
    assert decode(path).notes == (["reduced to 8 bits"] if bits > 8 else [])


def adobe_exif(*, index: str = "R03", space: int = 65535) -> bytes:
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    details = exif.get_ifd(IFD.Exif)
    details[Base.ColorSpace] = space
    details[IFD.Interop] = {1: index}
    return exif.tobytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("exif", [adobe_exif(), adobe_exif(index="R98", space=2)])
def test_adobe_rgb_by_exif_alone(tmp_path: Path, name: str, exif: bytes) -> None:
    path = tmp_path / name
    # Pillow's TIFF writer loses nested tables.
    source = Picture(rgb_hwc=np.full((16, 16, 3), 90, np.uint8), exif=exif)
    encode(source, path, OutputSettings())
    picture = decode(path)
    assert picture.icc_profile == ADOBE_RGB.profile(is_grey=False)
    assert picture.notes == ["an ICC profile was made of the colours that EXIF (Adobe RGB) states"]
    block = Image.Exif()
    block.load(picture.exif or b"")
    assert block[Base.Make] == "Camera"
    if name != "a.webp":
        assert read_large_header(path).metadata.icc_profile == picture.icc_profile


@pytest.mark.parametrize("exif", [adobe_exif(index="R98", space=1), adobe_exif(index="R98")])
def test_other_exif_says_nothing_of_colours(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (16, 16)).save(path, exif=exif)
    assert decode(path).icc_profile is None


def test_converted_colours_are_srgb_whatever_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (20, 90, 60, 10)).save(path, exif=adobe_exif())
    assert decode(path).icc_profile is None
    path = tmp_path / "b.jpg"
    Image.new("RGB", (16, 16)).save(path, exif=adobe_exif(), icc_profile=ICC)
    assert decode(path).icc_profile == ICC


def test_a_grey_profile_without_an_equivalent_is_dropped_where_grey_becomes_rgb(
    tmp_path: Path,
) -> None:
    profile = ADOBE_RGB.profile(is_grey=True).replace(b"kTRC", b"A2B0")
    picture = Picture(rgb_hwc=np.full((4, 5, 3), 90, np.uint8), is_grey=True, icc_profile=profile)
    assert encode(picture, tmp_path / "a.png", OutputSettings()) == []
    notes = encode(picture, tmp_path / "a.webp", OutputSettings())
    assert notes == [
        "the ICC profile was dropped: it is for grey, and the result stores grey as RGB"
    ]
    with Image.open(tmp_path / "a.webp") as image:
        assert "icc_profile" not in image.info
