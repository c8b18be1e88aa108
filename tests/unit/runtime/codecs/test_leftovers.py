"""Metadata that results cannot hold is named in a note."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from runtime.codecs.decode import decode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.large_header import read_large_header
from runtime.codecs.leftovers import box_leftovers, jpeg_leftovers
from runtime.codecs.png_chunks import chunk_bytes

PICTURE = Image.new("RGB", (12, 10), (1, 2, 3))
C2PA_TYPE = bytes.fromhex("6332706100110010800000aa00389b71")
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def stored(name: str) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, name)
    return buffer.getvalue()


def with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    data = stored("PNG")
    samples = data.index(b"IDAT") - 4
    return data[:samples] + b"".join(chunk_bytes(*chunk) for chunk in chunks) + data[samples:]


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    data = stored("JPEG")
    after_jfif = 20
    return b"".join(
        (
            data[:after_jfif],
            *(struct.pack(">BBH", 0xFF, mark, 2 + len(text)) + text for mark, text in segments),
            data[after_jfif:],
        )
    )


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def jumbf(number: int, content: bytes) -> bytes:
    return b"JP" + struct.pack(">HI", 1, number) + box(b"jumb", content)


CREDENTIALS = jumbf(1, box(b"jumd", C2PA_TYPE + b"\3c2pa\0"))


@pytest.mark.parametrize(
    ("chunks", "notes"),
    [
        ([(b"caBX", b"jumb")], ["dropped: chunks caBX (content credentials)"]),
        (
            [(b"sCAL", b"\x011\x001"), (b"prVW", b""), (b"prVW", b"")],
            ["dropped: chunks sCAL (physical scale), prVW (unknown)"],
        ),
        (
            [(b"tEXt", b"Author\0a"), (b"tEXt", b"Author\0b"), (b"tEXt", b"Title\0t")],
            ["dropped: all but the last text named Author"],
        ),
        (
            [(b"pHYs", struct.pack(">IIB", 2, 1, 0))],
            ["dropped: the pixel aspect ratio; pixels are square"],
        ),
        ([(b"pHYs", struct.pack(">IIB", 2, 1, 1)), (b"sBIT", b"\5\6\5"), (b"bKGD", bytes(6))], []),
    ],
)
def test_png(tmp_path: Path, chunks: list[tuple[bytes, bytes]], notes: list[str]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(*chunks))
    assert decode(path).notes == notes
    assert read_large_header(path).metadata.notes == notes


@pytest.mark.parametrize(
    ("segments", "notes"),
    [
        (
            [(0xEB, CREDENTIALS), (0xEB, jumbf(2, bytes(30)))],
            ["dropped: segments APP11 (content credentials)"],
        ),
        ([(0xEB, jumbf(1, bytes(30)))], ["dropped: segments APP11 (JUMBF)"]),
        (
            [(0xE1, b"FLIR\0\1"), (0xE2, b"urn:iso:std:iso:ts:21496:-1\0"), (0xEF, b"\0")],
            ["dropped: segments APP1 (thermal data), APP2 (a gain map), APP15 (unknown)"],
        ),
        ([(0xE5, b"RMETA\0")], ["dropped: segments APP5 (RMETA)"]),
        ([(0xFE, b"one"), (0xFE, b"two")], ["dropped: all but the last comment"]),
        ([(0xEC, b"Ducky\0"), (0xFE, b"one")], []),
    ],
)
def test_jpeg(tmp_path: Path, segments: list[tuple[int, bytes]], notes: list[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_segments(*segments))
    assert decode(path).notes == notes
    assert read_large_header(path).metadata.notes == notes


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    data = bytearray(stored("JPEG"))
    data[13:18] = struct.pack(">BHH", 0, 1, 2)  # JFIF's unit and densities
    path.write_bytes(data)
    assert decode(path).notes == ["dropped: the pixel aspect ratio; pixels are square"]


def test_a_jpeg_that_pillow_writes_with_everything_it_can() -> None:
    buffer = io.BytesIO()
    PICTURE.convert("CMYK").save(buffer, "JPEG", comment=b"c", dpi=(72, 72), progressive=True)
    assert jpeg_leftovers(buffer) == []


def test_webp(tmp_path: Path) -> None:
    data = stored("WEBP")
    data += b"C2PA" + struct.pack("<I", 3) + b"abc\0" + b"JUNK" + struct.pack("<I", 2) + b"ab"
    path = tmp_path / "a.webp"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert decode(path).notes == ["dropped: chunks C2PA (content credentials), JUNK (unknown)"]


def test_gif(tmp_path: Path) -> None:
    data = stored("GIF")
    palette_end = 13 + (3 << (data[10] & 7) + 1)
    extensions = (b"C2PA_GIF\1\0\0", b"ICCRGBG1012", b"NETSCAPE2.0")
    blocks = b"".join(b"\x21\xff\x0b" + name + b"\3\1\0\0\0" for name in extensions)
    path = tmp_path / "a.gif"
    path.write_bytes(data[:palette_end] + blocks + data[palette_end:])
    assert decode(path).notes == [
        "dropped: extensions C2PA_GIF (content credentials), ICCRGBG1012 (ICC profile)"
    ]


@pytest.mark.skipif(not HAS_AVIF, reason="the installed Pillow has no AVIF")
def test_avif(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(stored("AVIF") + box(b"uuid", C2PA_BOX + bytes(30)))
    assert decode(path).notes == ["dropped: content credentials"]


def test_auxiliary_pictures_of_heic() -> None:
    names = (
        b"urn:mpeg:hevc:2015:auxid:1",
        b"urn:mpeg:hevc:2015:auxid:2",
        b"urn:com:apple:photo:2020:aux:hdrgainmap",
        b"urn:example:matte",
    )
    auxiliary = b"".join(box(b"auxC", bytes(4) + name + b"\0") for name in names)
    meta = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", auxiliary)))
    assert box_leftovers(io.BytesIO(box(b"ftyp", b"heic") + meta)) == [
        "dropped: a depth map, a gain map, an auxiliary picture (urn:example:matte)"
    ]


@pytest.mark.parametrize(("version", "count"), [(0, b"\0\2"), (1, b"\0\0\0\2")])
def test_tone_maps_of_avif(version: int, count: bytes) -> None:
    plain, mapped = (
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", number, 0, kind))
        for number, kind in ((1, b"av01"), (2, b"tmap"))
    )
    items = box(b"iinf", bytes([version, 0, 0, 0]) + count + plain + mapped)
    file = io.BytesIO(box(b"meta", bytes(4) + items))
    assert box_leftovers(file) == ["dropped: a gain map"]
