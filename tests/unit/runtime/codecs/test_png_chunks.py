"""Damage in a PNG drops the damaged chunk, or rejects the picture."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.header import read_outline
from runtime.codecs.large_header import read_large_header
from runtime.codecs.output import OutputSettings
from runtime.codecs.png_chunks import MAX_TEXT_BYTES
from runtime.errors import ImageReadError

NOISE = np.random.default_rng(3).integers(0, 256, (7, 9, 3), np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(name: bytes, content: bytes, *, torn: bool = False) -> bytes:
    check = zlib.crc32(name + content) ^ torn
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(before: bytes = b"", behind: bytes = b"", *, torn: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", 9, 7, 8, 2, 0, 0, 0)
    samples = zlib.compress(b"".join(b"\0" + row.tobytes() for row in NOISE))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header, torn=torn == b"IHDR"),
            before,
            chunk(b"IDAT", samples, torn=torn == b"IDAT"),
            behind,
            chunk(b"IEND", b""),
        )
    )


def compressed_text(size: int, key: bytes = b"workflow") -> bytes:
    return chunk(b"zTXt", key + b"\0\0" + zlib.compress(b"x" * size, 9))


TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
TORN = {
    "tEXt": (chunk(b"tEXt", b"Title\0x", torn=True), "tEXt (Title)"),
    "iTXt": (chunk(b"iTXt", b"Title\0\0\0\0\0x", torn=True), "iTXt (Title)"),
    "pHYs": (chunk(b"pHYs", bytes(9), torn=True), "pHYs"),
    "iCCP": (chunk(b"iCCP", b"p\0\0" + zlib.compress(SRGB), torn=True), "iCCP (p)"),
    "tRNS": (chunk(b"tRNS", bytes(6), torn=True), "tRNS"),
    "own": (chunk(b"prVt", b"x", torn=True), "prVt"),
}


@pytest.mark.parametrize("name", TORN)
@pytest.mark.parametrize("where", ["before", "behind"])
def test_damaged_blocks_do_not_cost_the_picture(tmp_path: Path, name: str, where: str) -> None:
    block, title = TORN[name]
    kept = chunk(b"tEXt", b"Author\0me")
    data = png(block + kept, b"") if where == "before" else png(b"", block + kept)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    picture = decode(path)
    np.testing.assert_array_equal(picture.rgb_hwc, NOISE)
    assert picture.alpha_hw is None
    assert picture.text == {"Author": "me"}
    note = f"dropped: the chunk {title}: its checksum is wrong"
    assert picture.notes == [note]
    assert read_outline(path).size_hw == (7, 9)
    assert read_large_header(path).metadata.notes == [note]


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (chunk(b"gAMA", b"\0"), "gAMA: its length is wrong"),
        (chunk(b"pHYs", b"\0" * 5), "pHYs: its length is wrong"),
        (chunk(b"tRNS", b"\0" * 3), "tRNS: its length is wrong"),
        *((chunk(name, b""), f"{name.decode()}: it is damaged") for name in TEXTS),
        *((chunk(name, b"k"), f"{name.decode()} (k): it is damaged") for name in TEXTS),
        (chunk(b"zTXt", b"Title\0\0damaged"), "zTXt (Title): it is damaged"),
        (chunk(b"iCCP", b"name\0\0damaged"), "iCCP (name): it is damaged"),
        (compressed_text(MAX_TEXT_BYTES + 1), "zTXt (workflow): it has more than 16 MiB"),
    ],
)
def test_impossible_blocks_do_not_cost_the_picture(
    tmp_path: Path, block: bytes, fault: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(block))
    picture = decode(path)
    np.testing.assert_array_equal(picture.rgb_hwc, NOISE)
    assert picture.notes == [f"dropped: the chunk {fault}"]
    assert read_outline(path).size_hw == (7, 9)


@pytest.mark.parametrize("size", [1_300_000, MAX_TEXT_BYTES])
def test_long_texts_survive(tmp_path: Path, size: int) -> None:
    path, result = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(png(compressed_text(size)))
    picture = decode(path)
    assert picture.notes == []
    assert encode(picture, result, OutputSettings()) == []
    assert decode(result).text == {"workflow": "x" * size}


def test_long_profiles_survive(tmp_path: Path) -> None:
    profile = SRGB + np.random.default_rng(0).bytes(2_000_000)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    path = tmp_path / "a.png"
    path.write_bytes(png(chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))))
    assert decode(path).icc_profile == profile


def test_all_texts_together_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    texts = b"".join(compressed_text(MAX_TEXT_BYTES, key) for key in (b"a", b"b", b"c", b"d"))
    path.write_bytes(png(texts))
    picture = decode(path)
    assert set(picture.text) == {"a", "b", "c"}
    (note,) = picture.notes
    assert note == "dropped: the chunk zTXt (d): all texts together have more than 48 MiB"


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT"])
def test_damage_of_the_picture_is_said(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(torn=name))
    with pytest.raises(ImageReadError, match=r"^a\.png: is damaged \(a checksum is wrong\)"):
        decode(path)


ENDS = {
    "missing": png()[:-12],
    "torn": png()[:-1] + b"x",
    "cut": png()[:-5],
    "cut in a text": png(b"", chunk(b"tEXt", b"Author\0me"))[:-20],
}


@pytest.mark.parametrize("name", ENDS)
def test_the_end_may_be_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(ENDS[name])
    picture = decode(path)
    np.testing.assert_array_equal(picture.rgb_hwc, NOISE)
    assert picture.notes == ["its end is cut off or damaged"]
    assert read_outline(path).size_hw == (7, 9)


@pytest.mark.parametrize("cut", [-13, -20, -100, 40, 20])
def test_samples_that_are_cut_off_are_damage(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png()[:cut])
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=r"is damaged \(it is cut off\)"):
            read(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ((0, 7, 8, 2), "it has no pixels"),
        ((9, 0, 8, 2), "it has no pixels"),
        ((9, 7, 3, 0), "its header is invalid"),
        ((9, 7, 8, 5), "its header is invalid"),
        ((9, 7, 8, 3), "its palette is missing"),
    ],
)
def test_impossible_headers_are_damage(
    tmp_path: Path, kind: tuple[int, int, int, int], words: str
) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBB", *kind) + bytes(3))
    path = tmp_path / "a.png"
    path.write_bytes(png()[:8] + header + png()[8 + 25 :])
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=rf"^a\.png: is damaged \({words}\)"):
            read(path)


def test_apples_own_png_is_named(tmp_path: Path) -> None:
    data = png()
    path = tmp_path / "a.png"
    path.write_bytes(data[:8] + chunk(b"CgBI", b"P\0 \2") + data[8:])
    for read in (decode, read_outline, read_large_header):
        with pytest.raises(ImageReadError, match=r"Apple's tools.*\(CgBI\).*convert it back"):
            read(path)


def test_outlines_of_png_do_not_read_samples(tmp_path: Path) -> None:
    """EXIF may follow the samples, and still gives the orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    path.write_bytes(png(b"", chunk(b"eXIf", exif.tobytes()[6:]), torn=b"IDAT"))
    assert read_outline(path).size_hw == (9, 7)
