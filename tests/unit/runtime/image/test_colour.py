"""Colours of odd files and images: few bits, many bits, inks, and modes in memory."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from runtime.codecs.decode import decode
from runtime.codecs.pil import image_from_picture, picture_from_image
from runtime.errors import ImageReadError
from runtime.image.picture import Picture

RGB = [[(200, 30, 40), (20, 180, 60)], [(30, 60, 220), (128, 128, 128)]]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def blocks(colours: Sequence[Any], side: int = 16) -> NDArray[np.uint8]:
    """Each value as a block, so that lossy formats keep it; (H, W) or (H, W, C)."""
    return np.array(colours, np.uint8).repeat(side, axis=0).repeat(side, axis=1)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, depth: int, colour: int, rows: Sequence[bytes], extra: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", packed)
        + chunk(b"IEND", b"")
    )


def png_16(samples: Sequence[int], colour: int, width: int, extra: bytes = b"") -> bytes:
    row = b"".join(struct.pack(">H", value) for value in samples)
    return png(width, 1, 16, colour, [row], extra)


def tiff(width: int, data: bytes, tags: dict[int, int | tuple[int, ...]]) -> bytes:
    """A little-endian TIFF of one row in one strip; a tuple of values is stored out of line."""
    entries: dict[int, int | tuple[int, ...]] = {
        256: width,
        257: 1,
        258: 16,
        259: 1,
        262: 1,
        277: 1,
        278: 1,
        273: 0,
        279: len(data),
        **tags,
    }
    place = 8 + 2 + 12 * len(entries) + 4
    tail = b""
    if 273 not in tags:
        entries[273] = place
        tail = data
    out = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, tuple) else (value,)
        if len(values) > 2:
            out += struct.pack("<HHII", tag, 3, len(values), place + len(tail))
            tail += struct.pack(f"<{len(values)}H", *values)
        else:
            out += struct.pack("<HHI2H", tag, 3, len(values), *values, *(0,) * (2 - len(values)))
    return out + struct.pack("<I", 0) + tail


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

DEEP = [0, 1, 0x1234, 0xFFFF]


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


# --- TIFFs of which Pillow would make wrong colours


REFUSED: dict[str, tuple[dict[int, int | tuple[int, ...]], str]] = {
    "signed": ({339: 2}, "signed or complex"),
    "32-bit": ({258: 32}, "not 8 or 16 bits unsigned"),
    "24-bit-float": ({258: 24, 339: 3}, "neither grey nor RGB of 16, 32 or 64 bits"),
    "camera": ({262: 32803}, "a camera's sensor"),
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


# --- images in memory --------------------------------------------------------------------


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
