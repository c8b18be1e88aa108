"""BMP by its specification: bit fields and palettes of every kind, unused alpha, profiles."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.errors import ImageReadError
from runtime.image.picture import Picture

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIZE_HW = (5, 7)
PLAIN = [bytes((3, 2, 1)) * 7] * 5


def bmp(
    rows: list[bytes],
    *,
    bits: int,
    size_hw: tuple[int, int] = SIZE_HW,
    method: int = 0,
    header: int = 40,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    colours: int = 0,
    space: bytes = bytes(60),
    behind: bytes = b"",
    top_down: bool = False,
) -> bytes:
    """Rows from the top down, not yet padded."""
    stored = rows if top_down else rows[::-1]
    samples = b"".join(row + bytes(-len(row) % 4) for row in stored)
    height = -size_hw[0] if top_down else size_hw[0]
    info = struct.pack(
        "<IiiHHIIiiII", header, size_hw[1], height, 1, bits, method, 0, 11811, 11811, colours, 0
    )
    fields = struct.pack(f"<{len(masks)}I", *masks)
    if header >= 52:
        info = (info + fields).ljust(header, b"\0")
        if header >= 108:
            info = (info[:56] + space).ljust(header, b"\0")[:header]
        fields = b""
    start = 14 + len(info) + len(fields) + len(palette)
    begin = struct.pack("<2sIII", b"BM", start + len(samples), 0, start)
    return begin + info + fields + palette + samples + behind


def seen(path: Path, data: bytes) -> Picture:
    path.write_bytes(data)
    picture = decode(path)
    assert read_outline(path).size_hw == picture.size_hw
    return picture


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(4).integers(0, 256, (*SIZE_HW, 4), np.uint8)


FIELDS = {
    "565": (16, (0xF800, 0x7E0, 0x1F)),
    "555": (16, (0x7C00, 0x3E0, 0x1F)),
    "231": (16, (0x60, 0x1C, 0x2)),
    "3103": (16, (0xE000, 0x1FF8, 0x7)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "1924": (16, (0x8000, 0x7FC0, 0x30, 0xF)),
    "5551": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "24-bgr": (24, (0xFF, 0xFF00, 0xFF0000)),
    "xbgr": (32, (0xFF, 0xFF00, 0xFF0000)),
    "7187": (32, (0xFE000000, 0x1FFFF80, 0x7F)),
    "1010102": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "61754": (32, (0xFC000000, 0x3FFFE00, 0x1F0, 0xF)),
    "rgba": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    "argb": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "no-blue": (32, (0xFF0000, 0xFF00, 0)),
}


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("name", FIELDS)
def test_bit_fields(tmp_path: Path, name: str, header: int, top_down: bool) -> None:
    bits, masks = FIELDS[name]
    has_alpha = len(masks) == 4
    if header == 52 and has_alpha:
        pytest.skip("this header has no alpha")
    pixels = np.zeros(SIZE_HW, np.uint64)
    expected = np.zeros((*SIZE_HW, len(masks)), np.uint8)
    for channel, mask in enumerate(masks):
        if not mask:
            continue
        low = mask & -mask
        full = mask // low
        values = np.rint(noise()[..., channel] / 255 * full).astype(np.uint64)
        pixels |= values * np.uint64(low)
        expected[..., channel] = np.floor(values / full * 255 + 0.5)
    rows = [b"".join(int(pixel).to_bytes(bits // 8, "little") for pixel in row) for row in pixels]
    method = 6 if header == 40 and has_alpha else 3
    data = bmp(rows, bits=bits, method=method, header=header, masks=masks, top_down=top_down)
    picture = seen(tmp_path / "a.bmp", data)
    np.testing.assert_array_equal(picture.rgb_hwc, expected[..., :3])
    assert (picture.alpha_hw is not None) == has_alpha
    if has_alpha:
        np.testing.assert_array_equal(picture.alpha_hw, expected[..., 3])
    is_deep = max(mask.bit_count() for mask in masks) > 8
    assert picture.notes == (["reduced to 8 bits"] if is_deep else [])
    assert picture.dpi == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("colours", [0, 3])
def test_palettes_of_2_bits(tmp_path: Path, colours: int) -> None:
    entries = [(10, 20, 30), (200, 100, 50), (0, 255, 0), (9, 9, 9)][: colours or 4]
    palette = b"".join(bytes((blue, green, red, 0)) for red, green, blue in entries)
    indices = np.arange(35).reshape(SIZE_HW) % len(entries)
    rows = []
    for row in indices:
        padded = [*row, 0]
        rows.append(
            bytes(
                padded[at] << 6 | padded[at + 1] << 4 | padded[at + 2] << 2 | padded[at + 3]
                for at in (0, 4)
            )
        )
    data = bmp(rows, bits=2, palette=palette, colours=colours)
    picture = seen(tmp_path / "a.bmp", data)
    np.testing.assert_array_equal(picture.rgb_hwc, np.array(entries, np.uint8)[indices])


@pytest.mark.parametrize("entries", [None, 3, 300])
@pytest.mark.parametrize("header", [12, 16, 24, 40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(tmp_path: Path, bits: int, header: int, entries: int | None) -> None:
    """OS/2 and Windows palettes: complete, short, and longer than the bits can index."""
    count = entries or 1 << bits
    used = min(count, 1 << bits)
    colours = np.random.default_rng(bits).integers(0, 256, (count, 3), np.uint8)
    indices = np.arange(35).reshape(SIZE_HW) % used
    as_bits = indices[..., None] >> np.arange(bits - 1, -1, -1) & 1
    rows = [row.tobytes() for row in np.packbits(as_bits.reshape(SIZE_HW[0], -1), axis=1)]
    space = b"" if header == 12 else b"\0"
    palette = b"".join(bytes(colour[::-1]) + space for colour in colours)
    data = bmp(rows, bits=bits, palette=palette, colours=entries or 0)
    short = struct.pack("<IHHHH", header, SIZE_HW[1], SIZE_HW[0], 1, bits)
    info = short if header == 12 else struct.pack("<I", header) + data[18:54].ljust(120, b"\0")
    start = 14 + header + len(palette)
    data = data[:10] + struct.pack("<I", start) + info[:header] + data[54:]
    picture = seen(tmp_path / "a.bmp", data)
    np.testing.assert_array_equal(picture.rgb_hwc, colours[indices])
    assert not picture.is_grey


def test_palettes_of_greys_make_grey_pictures(tmp_path: Path) -> None:
    palette = b"".join(bytes((level, level, level, 0)) for level in range(255, -1, -1))
    rows = [bytes(range(7 * row, 7 * row + 7)) for row in range(5)]
    picture = seen(tmp_path / "a.bmp", bmp(rows, bits=8, palette=palette))
    assert picture.is_grey
    np.testing.assert_array_equal(picture.grey_hw(), 255 - np.arange(35).reshape(SIZE_HW))


@pytest.mark.parametrize("data", [b"BM", b"BM" + bytes(20), bmp(PLAIN, bits=24)[:40]])
def test_headers_that_are_cut_off(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match="is damaged"):
            read(path)


@pytest.mark.parametrize("size_hw", [(0, 7), (5, 0), (5, -7)])
def test_pictures_without_a_size_are_damaged(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp(PLAIN, bits=24, size_hw=size_hw))
    with pytest.raises(ImageReadError, match="it has no pixels"):
        decode(path)


@pytest.mark.parametrize("masks", [FIELDS["argb"][1], FIELDS["rgba"][1], FIELDS["4444"][1]])
def test_alpha_that_is_never_set_is_none(tmp_path: Path, masks: tuple[int, ...]) -> None:
    bits = 16 if max(masks) < 1 << 16 else 32
    pixel = int.to_bytes(0xFFFFFFFF & ~masks[3] & ((1 << bits) - 1), bits // 8, "little")
    data = bmp([pixel * 7] * 5, bits=bits, method=3, header=124, masks=masks)
    picture = seen(tmp_path / "a.bmp", data)
    assert picture.alpha_hw is None
    assert (picture.rgb_hwc == 255).all()
    assert picture.notes == ["its alpha is zero everywhere, and was treated as unused"]


def test_embedded_profiles_are_kept(tmp_path: Path) -> None:
    space = b"DEBM".ljust(56, b"\0") + struct.pack("<II", 124 + 24 * 5, len(ICC))
    data = bmp(PLAIN, bits=24, header=124, space=space, behind=ICC)
    picture = seen(tmp_path / "a.bmp", data)
    assert picture.icc_profile == ICC
    assert picture.rgb_hwc[0, 0].tolist() == [1, 2, 3]


def test_calibrated_colours_get_a_profile(tmp_path: Path) -> None:
    p3 = [[0.4866, 0.2290, 0.0], [0.2657, 0.6917, 0.0451], [0.1982, 0.0793, 1.0439]]
    numbers = [round(value * 2**30) for light in p3 for value in light]
    gammas = [round(1.8 * 65536)] * 3
    space = bytes(4) + struct.pack("<9i3I", *numbers, *gammas)
    picture = seen(tmp_path / "a.bmp", bmp(PLAIN, bits=24, header=108, space=space))
    assert picture.icc_profile is not None
    assert picture.notes == ["an ICC profile was made of the colours that its BMP header states"]
    # Nearly all programs leave them zero.
    assert seen(tmp_path / "a.bmp", bmp(PLAIN, bits=24, header=108)).icc_profile is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bmp(PLAIN, bits=24, method=4), "BMP with JPEG inside"),
        (bmp(PLAIN, bits=24, method=5), "BMP with PNG inside"),
        (bmp(PLAIN, bits=1, header=64, method=3), "BMP with OS/2's Huffman coding"),
        (bmp(PLAIN, bits=24, header=77, masks=()), "BMP with a header of 77 bytes"),
        (
            bmp(PLAIN, bits=32, method=3, masks=(5, 2, 8)),
            "BMP with bit fields that overlap or have",
        ),
        (
            bmp(PLAIN, bits=32, method=3, masks=(7, 3, 8)),
            "BMP with bit fields that overlap or have",
        ),
        (bmp(PLAIN, bits=5), "BMP with 5 bits per pixel"),
        (bmp(PLAIN, bits=64), "BMP with 64 bits per pixel"),
        (bmp(PLAIN, bits=24, method=1), "BMP with 24 bits per pixel and compression 1"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=rf"^a\.bmp: is .*{words}.*: save it as PNG"):
            read(path)


def test_samples_that_end_early_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp([bytes(14)] * 5, bits=16, method=3, masks=FIELDS["231"][1])[:-3])
    with pytest.raises(ImageReadError, match="is damaged"):
        decode(path)


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (b"\0\0\1\0\1\0\x10\x10", "an icon"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\xff\x0a\xff\x07", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"%PDF-1.7", "a PDF document"),
        (b"P6\n3 2\n255\n", "PNM"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a camera raw file"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera raw file"),
    ],
)
def test_other_files_are_named(tmp_path: Path, begin: bytes, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(begin + bytes(200))
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=rf"^a\.png: is {words}"):
            read(path)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"\xff\xc1\0\x0b\x0c", "JPEG of 12 bits per sample"),
        (b"\xff\xff\xc3\0\x0b\x10", "JPEG of 16 bits per sample"),
        (b"\xff\xf7\0\x0b\x08", "JPEG-LS"),
    ],
)
def test_jpegs_of_other_kinds_are_named(tmp_path: Path, frame: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(9) + frame + bytes(50))
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=rf"^a\.jpg: is {words}, .* save it as PNG"):
            read(path)


def test_icons_written_by_pillow_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.ico"
    Image.new("RGB", (32, 32)).save(path)
    with pytest.raises(ImageReadError, match="an icon"):
        decode(path)
