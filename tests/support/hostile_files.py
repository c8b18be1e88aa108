"""Files as found in the wild or crafted by attackers."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms

COLOUR = (200, 60, 30)
SIZE = (12, 10)
Fate = Literal["done", "failed", "either", "ignored"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One hostile file."""

    make: Callable[[Path], object]
    fate: Fate
    name: str = "x.png"
    words: str = ""
    """In the error message, or the notes."""
    size: tuple[int, int] | None = SIZE
    """Size of the upright source; None where unknown."""


def image(size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.new("RGB", size, COLOUR)


def data(form: str, size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image(size).save(buffer, form, **options)
    return buffer.getvalue()


def raw(content: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content() if callable(content) else content)


def half(form: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, form)
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])

    return make


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(width: int, height: int, depth: int, kind: int, samples: bytes, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        *extra,
        chunk(b"IDAT", zlib.compress(samples, 9)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunk(name: bytes, content: bytes) -> bytes:
    """An intact PNG with one more chunk, before its samples."""
    healthy = data("PNG")
    at = healthy.index(b"IDAT") - 4
    return healthy[:at] + chunk(name, content) + healthy[at:]


def tiff(*tags: tuple[int, int, int, int], next_at: int = 0) -> bytes:
    table = struct.pack("<H", len(tags))
    for tag, kind, count, value in tags:
        table += struct.pack("<HHII", tag, kind, count, value)
    return b"II*\0" + struct.pack("<I", 8) + table + struct.pack("<I", next_at) + bytes(64)


def grey_tiff(width: int = 4, **changed: int) -> bytes:
    values = {"height": 4, "bits": 8, "offset": 150, "bytes": 16, "next_at": 0} | changed
    return tiff(
        *((256, 4, 1, width), (257, 4, 1, values["height"]), (258, 3, 1, values["bits"])),
        *((259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, values["offset"])),
        *((278, 4, 1, values["height"]), (279, 4, 1, values["bytes"])),
        next_at=values["next_at"],
    )


def loop_exif() -> bytes:
    """An EXIF block whose table links to itself, as next and as child."""
    table = struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    return b"Exif\0\0II*\0\x08\0\0\0" + table


def oriented(number: int) -> Callable[[Path], object]:
    exif = Image.Exif()
    exif[0x0112] = number
    return lambda path: image().save(path, "JPEG", exif=exif)


def apng_that_promises_more() -> bytes:
    frames = [Image.new("RGB", SIZE, COLOUR), Image.new("RGB", SIZE, (0, 0, 0))]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    content = buffer.getvalue()
    old = struct.pack(">II", 2, 0)
    assert content.count(b"acTL" + old) == 1
    return content.replace(chunk(b"acTL", old), chunk(b"acTL", struct.pack(">II", 9, 0)))


def sparse(path: Path) -> None:
    """A sparse file one byte over the size limit."""
    with path.open("wb") as file:
        file.truncate((2 << 30) + 1)


CMYK_PROFILE = (
    ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"RGB ", b"CMYK", 1)
)


KINDS: dict[str, Kind] = {
    "zero bytes": Kind(make=raw(b""), fate="failed", words="empty"),
    "one byte": Kind(make=raw(b"\x89"), fate="failed"),
    "zeros": Kind(make=raw(bytes(10_000)), fate="failed"),
    "half a PNG": Kind(make=half("PNG"), fate="failed", words="damaged"),
    "half a JPEG": Kind(make=half("JPEG"), fate="failed", name="x.jpg", words="damaged"),
    "half a WebP": Kind(make=half("WEBP"), fate="failed", name="x.webp"),
    "half a TIFF": Kind(make=half("TIFF"), fate="failed", name="x.tif"),
    "half a GIF": Kind(make=half("GIF"), fate="failed", name="x.gif"),
    "half a BMP": Kind(make=half("BMP"), fate="failed", name="x.bmp"),
    "PNG named JPEG": Kind(make=raw(lambda: data("PNG")), fate="done", name="x.jpg"),
    "JPEG named PNG": Kind(make=raw(lambda: data("JPEG", quality=95)), fate="done"),
    "WebP named TIFF": Kind(make=raw(lambda: data("WEBP")), fate="done", name="x.tiff"),
    "web page": Kind(make=raw(b"<!doctype html><title>404</title>"), fate="failed", name="x.jpg"),
    "SVG": Kind(make=raw(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), fate="failed"),
    "PostScript": Kind(
        make=raw(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), fate="failed"
    ),
    "shell script": Kind(make=raw(b"#!/bin/sh\ntouch /tmp/owned\n"), fate="failed"),
    "1 x 1": Kind(make=raw(lambda: data("PNG", (1, 1))), fate="done", size=(1, 1)),
    "1 x 20000": Kind(make=raw(lambda: data("PNG", (1, 20000))), fate="done", size=(1, 20000)),
    "20000 x 1": Kind(make=raw(lambda: data("PNG", (20000, 1))), fate="done", size=(20000, 1)),
    "too long for WebP": Kind(
        make=raw(lambda: data("WEBP", (5000, 1))), fate="failed", name="x.webp", words="16,383"
    ),
    "60,000 pixels a side": Kind(
        make=raw(png(60_000, 60_000, 8, 2, b"")), fate="failed", words="no picture has"
    ),
    "more samples than declared": Kind(
        make=raw(lambda: png(12, 10, 8, 2, (b"\0" + bytes(COLOUR) * 12) * 10 + bytes(20_000_000))),
        fate="either",
    ),
    "fewer samples than declared": Kind(
        make=raw(lambda: png(12, 10, 8, 2, (b"\0" + bytes(COLOUR) * 12) * 5)), fate="failed"
    ),
    "compressed text of 100 MB": Kind(
        make=raw(lambda: with_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100_000_000), 9))),
        fate="either",
    ),
    "profile of 100 MB": Kind(
        make=raw(lambda: with_chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(100_000_000), 9))),
        fate="either",
    ),
    "no size": Kind(make=raw(png(0, 0, 8, 2, b"")), fate="failed"),
    "impossible depth": Kind(make=raw(png(12, 10, 7, 2, b"")), fate="failed"),
    "palette that is missing": Kind(
        make=raw(lambda: png(12, 10, 8, 3, (b"\0" + bytes(12)) * 10)), fate="either", size=None
    ),
    "wrong checksum": Kind(make=raw(lambda: data("PNG").replace(b"IDAT", b"IDAU")), fate="failed"),
    "altered samples": Kind(
        make=raw(lambda: data("PNG")[:-20] + b"\xff\xff" + data("PNG")[-18:]), fate="failed"
    ),
    "PNG with a tail": Kind(make=raw(lambda: data("PNG") + b"PK\x03\x04" * 99), fate="done"),
    "JPEG with a tail": Kind(
        make=raw(lambda: data("JPEG", quality=95) + b"PK\x03\x04" * 99), fate="done", name="x.jpg"
    ),
    "JPEG without its end": Kind(
        make=raw(lambda: data("JPEG", quality=95)[:-2]), fate="either", name="x.jpg"
    ),
    "damaged profile": Kind(
        make=lambda path: image().save(path, icc_profile=b"damaged" * 60),
        fate="done",
        words="profile",
    ),
    "printer's profile": Kind(
        make=lambda path: image().save(path, icc_profile=CMYK_PROFILE), fate="done", words="profile"
    ),
    "damaged EXIF": Kind(
        make=lambda path: image().save(
            path, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"
        ),
        fate="done",
        name="x.jpg",
    ),
    "EXIF that is its own part": Kind(
        make=lambda path: image().save(path, "JPEG", quality=95, exif=loop_exif()),
        fate="done",
        name="x.jpg",
    ),
    "turned on its side": Kind(make=oriented(6), fate="done", name="x.jpg", size=SIZE[::-1]),
    "orientation 99": Kind(make=oriented(99), fate="done", name="x.jpg"),
    "damaged XMP": Kind(
        make=lambda path: image().save(path, "JPEG", quality=95, xmp=b"\xff\xfe<rdf:RDF"),
        fate="done",
        name="x.jpg",
    ),
    "animation that promises more": Kind(make=raw(apng_that_promises_more), fate="either"),
    "GIF without pictures": Kind(
        make=raw(b"GIF89a\x0c\0\x0a\0\x80\0\0\0\0\0\xff\xff\xff;"), fate="failed", name="x.gif"
    ),
    "GIF frame beyond its screen": Kind(
        make=raw(
            lambda: data("GIF").replace(
                struct.pack("<BHHHH", 0x2C, 0, 0, *SIZE),
                struct.pack("<BHHHH", 0x2C, 90, 90, *SIZE),
            )
        ),
        fate="either",
        name="x.gif",
        size=None,
    ),
    "TIFF whose pages go round": Kind(
        make=raw(grey_tiff(next_at=8)), fate="either", name="x.tif", size=None
    ),
    "TIFF that points beyond its end": Kind(
        make=raw(grey_tiff(offset=2**31)), fate="failed", name="x.tif"
    ),
    "TIFF without width": Kind(make=raw(grey_tiff(0)), fate="failed", name="x.tif"),
    "TIFF of 4 billion rows": Kind(
        make=raw(grey_tiff(height=2**32 - 1)), fate="failed", name="x.tif"
    ),
    "TIFF of 9 bits": Kind(make=raw(grey_tiff(bits=9)), fate="failed", name="x.tif"),
    "TIFF of floating-point numbers beyond 1": Kind(
        make=lambda path: Image.new("F", SIZE, 700.5).save(path),
        fate="failed",
        name="x.tif",
        words="float",
    ),
    "BMP of 2 billion rows": Kind(
        make=raw(lambda: data("BMP")[:22] + struct.pack("<i", 2**31 - 1) + data("BMP")[26:]),
        fate="failed",
        name="x.bmp",
    ),
    "WebP that lies about its length": Kind(
        make=raw(lambda: b"RIFF" + struct.pack("<I", 2**31) + data("WEBP")[8:]),
        fate="either",
        name="x.webp",
    ),
    "2 GiB of nothing": Kind(make=sparse, fate="failed", words="too large to be read whole"),
    "link to itself": Kind(make=lambda path: path.symlink_to(path), fate="failed"),
    "link to nowhere": Kind(make=lambda path: path.symlink_to("/nowhere/x.png"), fate="failed"),
    "link to endless zeros": Kind(
        make=lambda path: path.symlink_to("/dev/zero"), fate="failed", words="regular file"
    ),
    "named pipe": Kind(make=lambda path: os.mkfifo(path), fate="failed", words="regular file"),
    "folder named like a picture": Kind(make=lambda path: path.mkdir(), fate="ignored"),
    "folder that links to its parent": Kind(
        make=lambda path: path.symlink_to(path.parent, target_is_directory=True),
        fate="ignored",
        name="loop",
    ),
    "hidden": Kind(make=raw(lambda: data("PNG")), fate="ignored", name=".x.png"),
    "name with a line break": Kind(make=raw(lambda: data("PNG")), fate="done", name="a\nb.png"),
    "name with a terminal's commands": Kind(
        make=raw(lambda: data("PNG")), fate="done", name="\x1b[31mred\x07.png"
    ),
    "name like an option": Kind(make=raw(lambda: data("PNG")), fate="done", name="--model.png"),
    "name of 255 bytes": Kind(make=raw(lambda: data("PNG")), fate="done", name="x" * 251 + ".png"),
    "name that is no text": Kind(
        make=raw(lambda: data("PNG")), fate="done", name=os.fsdecode(b"\xff\xfe.png")
    ),
    "name in Arabic, Chinese and emoji": Kind(
        make=raw(lambda: data("PNG")), fate="done", name="صورة 图片 🐈.png"
    ),
    "name with two suffixes": Kind(make=raw(lambda: data("PNG")), fate="done", name="x.png.png"),
}
