"""Colours of unusual files and images: few bits, many bits, inks, and PIL modes."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.decode import decode
from tests.support.images import (
    DEEP,
    chunk,
    png,
    saved,
    tiff,
    written,
)

# --- transparency by colour


@pytest.mark.parametrize(
    ("depth", "row", "grey"),
    [
        (1, b"\x50", [0, 255, 0, 255]),
        (2, b"\x1b", [0, 85, 170, 255]),
        (4, b"\x01\x23", [0, 17, 34, 51]),
        (8, b"\x00\x01\x02\x03", [0, 1, 2, 3]),
    ],
)
def test_grey_level_that_stands_for_transparent(
    tmp_path: Path, depth: int, row: bytes, grey: list[int]
) -> None:
    data = png(4, 1, depth, 0, [row], chunk(b"tRNS", struct.pack(">H", 1)))
    picture = decode(written(tmp_path / "a.png", data))
    assert picture.is_grey
    assert picture.rgb_hwc[0, :, 1].tolist() == grey
    assert picture.alpha_hw is not None
    transparent = [level == grey[1] for level in grey]
    assert (picture.alpha_hw[0] == 0).tolist() == transparent


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_that_stands_for_transparent(tmp_path: Path, depth: int) -> None:
    pixels = [(1, 2, 3), (1, 2, 4), (9, 2, 3)]
    step = 257 if depth == 16 else 1
    values = [value * step for pixel in pixels for value in pixel]
    row = struct.pack(">9H", *values) if depth == 16 else bytes(values)
    extra = chunk(b"tRNS", struct.pack(">3H", *values[:3]))
    picture = decode(written(tmp_path / "a.png", png(3, 1, depth, 2, [row], extra)))
    assert picture.rgb_hwc[0].tolist() == [[value * step for value in pixel] for pixel in pixels]
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[0, 255 * step, 255 * step]]


def test_premultiplied_tiff_is_divided_by_its_alpha(tmp_path: Path) -> None:
    tags: dict[int, int | tuple[int, ...]] = {258: (8, 8, 8, 8), 262: 2, 277: 4, 338: 1}
    picture = decode(written(tmp_path / "a.tif", tiff(1, bytes([100, 50, 0, 128]), tags)))
    assert picture.rgb_hwc[0, 0].tolist() == [199, 99, 0]
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[128]]


# --- 16 bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_deep_grey_keeps_16_bits(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(np.array([DEEP], np.uint16))
    picture = decode(saved(tmp_path / name, image))
    assert picture.rgb_hwc.dtype == np.uint16
    assert picture.is_grey
    assert all(picture.rgb_hwc[0, :, channel].tolist() == DEEP for channel in range(3))
    assert picture.notes == []


def test_big_endian_tiff(tmp_path: Path) -> None:
    little = tiff(4, struct.pack("<4H", *DEEP), {})
    image = Image.open(io.BytesIO(little))
    path = tmp_path / "a.tif"
    Image.frombytes("I;16B", (4, 1), struct.pack(">4H", *DEEP)).save(path)
    assert path.read_bytes()[:2] == b"MM"
    assert image.mode == "I;16"
    assert decode(path).rgb_hwc[0, :, 0].tolist() == DEEP


def test_tiff_whose_white_is_zero(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", tiff(4, struct.pack("<4H", *DEEP), {262: 0}))
    assert decode(path).rgb_hwc[0, :, 0].tolist() == [65535 - value for value in DEEP]


def test_12_bits_fill_16(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", tiff(2, bytes([0xFF, 0xF8, 0x00]), {258: 12}))
    assert decode(path).rgb_hwc[0, :, 0].tolist() == [65535, 0x8008 - 0]


# --- CMYK --------------------------------------------------------------------------------


def cmyk_profile() -> bytes:
    """A printer profile in which full cyan is Lab (60, -20, -30), and paper is white."""
    grid = itertools.product((0, 1), repeat=4)
    colours = bytearray()
    for c, m, y, k in grid:
        light = 255 * (1 - 0.4 * c) * (1 - 0.4 * m) * (1 - 0.1 * y) * (1 - 0.9 * k)
        ink = 1 - k
        colours += bytes(
            (round(light), 128 + ink * (40 * m - 20 * c), 128 + ink * (40 * y - 30 * c))
        )
    ramp = bytes(range(256))
    matrix = struct.pack(
        ">9i", *(65536 * (row == column) for row in range(3) for column in range(3))
    )
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + bytes(colours) + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"A2B0", table), (b"wtpt", white)]
    place = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">II", place + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s", place + len(body), b"", 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body


def flat_adobe_jpeg(stored: Sequence[int], *, transform: int) -> bytes:
    """An 8 x 8 JPEG of four channels, each of one value, as Adobe's programs mark them."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    bits = ""
    for value in stored:
        level = value - 128
        size = abs(level).bit_length()
        bits += f"{size:04b}"
        bits += f"{level if level > 0 else level + 2**size - 1:0{size}b}" if size else ""
        bits += "0"  # the only AC code: end of block
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    components = b"".join(bytes([number, 0x11, 0]) for number in range(1, 5))
    scans = b"".join(bytes([number, 0]) for number in range(1, 5))
    dc = bytes([0x00, 0, 0, 0, 9, *[0] * 12, *range(9)])
    ac = bytes([0x10, 1, *[0] * 15, 0])
    return (
        b"\xff\xd8"
        + segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))
        + segment(0xDB, bytes([0, *[8] * 64]))
        + segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + components)
        + segment(0xC4, dc)
        + segment(0xC4, ac)
        + segment(0xDA, bytes([4]) + scans + bytes([0, 63, 0]))
        + data
        + b"\xff\xd9"
    )


INKS = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 200, 40, 0), (10, 20, 30, 100), (0, 0, 0, 255)]


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("kind", ["tiff", "jpeg", "adobe", "adobe-ycck"])
def test_cmyk_without_profile(tmp_path: Path, ink: tuple[int, ...], kind: str) -> None:
    path = tmp_path / "a.jpg"
    if kind == "adobe":
        path.write_bytes(flat_adobe_jpeg([255 - value for value in ink], transform=0))
    elif kind == "adobe-ycck":
        # YCCK is YCbCr of the inverted inks' complement, and inverted black.
        red, green, blue = ink[:3]
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        ycc = (luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402)
        stored = [min(255, round(value)) for value in ycc] + [255 - ink[3]]
        path.write_bytes(flat_adobe_jpeg(stored, transform=2))
    else:
        path = tmp_path / f"a.{kind}"
        Image.new("CMYK", (8, 8), ink).save(path, quality=100)
    picture = decode(path)
    expected = [(255 - value) * (255 - ink[3]) / 255 for value in ink[:3]]
    assert np.abs(picture.rgb_hwc - np.array(expected)).max() <= 3
    assert picture.notes == ["CMYK without a profile was converted to RGB: colours are approximate"]


# sRGB of Lab (60, -20, -30), relative to D50, by the formulas of CIE 15 and IEC 61966-2-1 with
# Bradford adaptation.
CYAN = (54, 156, 197)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
def test_cmyk_goes_through_its_profile(tmp_path: Path, name: str) -> None:
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    picture = decode(saved(tmp_path / name, image, icc_profile=cmyk_profile()))
    assert np.abs(picture.rgb_hwc.astype(int) - CYAN).max() <= 3
    assert picture.icc_profile is None
    assert picture.notes == ["CMYK colours were converted to sRGB through the embedded profile"]


def test_cmyk_with_damaged_profile(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    picture = decode(saved(tmp_path / "a.tif", image, icc_profile=b"damaged" * 40))
    assert picture.rgb_hwc[0, 0].tolist() == [0, 255, 255]
    assert picture.icc_profile is None
    assert picture.notes == ["the ICC profile is damaged: CMYK was converted to RGB without it"]


def test_damaged_tags_neither_warn_nor_cost_the_picture(tmp_path: Path) -> None:
    data = tiff(4, struct.pack("<4H", *DEEP), {305: (1, 2, 3)})
    entry = data.index(struct.pack("<HHI", 305, 3, 3))
    path = tmp_path / "a.tif"
    path.write_bytes(data[: entry + 8] + b"\xff\xff\xff\x7f" + data[entry + 12 :])
    with pytest.warns(UserWarning, match="Truncated"), Image.open(path) as image:
        image.load()
    assert decode(path).rgb_hwc[0, :, 0].tolist() == DEEP
