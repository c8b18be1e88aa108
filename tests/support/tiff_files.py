"""TIFF files of any layout, and their decoded pictures."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


GREY = SRGB.replace(b"RGB ", b"GRAY", 1)


FULL = np.random.default_rng(1).integers(0, 256, (20, 24, 3), np.uint8)


SMALL = np.full((5, 6, 3), (255, 0, 255), np.uint8)


Tags: TypeAlias = dict[Any, Any]


Order: TypeAlias = Literal["<", ">"]


def tiff(*pages: tuple[NDArray[Any], Tags], order: Order = "<", big: bool = False) -> bytes:
    """Pages of samples (H, W, C), one strip each; tags of bytes are of undefined type."""
    place_form, count_form, size, room = ("Q", "Q", 8, 8) if big else ("I", "H", 2, 4)
    mark = {"<": b"II", ">": b"MM"}[order]
    out = bytearray(mark + struct.pack(order + "H", 43 if big else 42))
    out += struct.pack(order + "HH", 8, 0) if big else b""
    link = len(out)
    out += bytes(room)
    for samples, extra in pages:
        content = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
        packed = extra.pop("packed", content)
        place, channels = len(out), samples.shape[2]
        out += packed
        tags: Tags = {
            256: (samples.shape[1],),
            257: (samples.shape[0],),
            258: (8 * samples.itemsize,) * channels,
            259: (1,),
            262: (2 if channels >= 3 else 1,),
            273: (place,),
            277: (channels,),
            278: (samples.shape[0],),
            279: (len(packed),),
            **extra,
        }
        rows = b""
        for tag, value in sorted(tags.items()):
            raw = value if isinstance(value, bytes) else b""
            kind, count = (7, len(raw)) if raw else (16 if big else 4, len(value))
            raw = raw or struct.pack(f"{order}{count}{'Q' if big else 'I'}", *value)
            rows += struct.pack(f"{order}HH{place_form}", tag, kind, count)
            if len(raw) <= room:
                rows += raw.ljust(room, b"\0")
            else:
                rows += struct.pack(order + place_form, len(out))
                out += raw
        out[link : link + room] = struct.pack(order + place_form, len(out))
        out += struct.pack(order + count_form, len(tags)) + rows
        link = len(out)
        out += bytes(room)
        assert size == struct.calcsize(order + count_form)
    return bytes(out)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def seen(path: Path) -> Any:
    """Decode a picture, which must match its header."""
    picture, outline = decode(path), read_outline(path)
    assert outline.size_hw == picture.size_hw
    assert outline.frames == 1 + len(picture.more)
    assert outline.has_alpha == (picture.alpha_hw is not None)
    assert outline.is_deep == (picture.rgb_hwc.dtype == np.uint16)
    return picture


def with_the_second_inside(data: bytes) -> bytes:
    """Write two pages, the second linked only from the first's tag 330."""
    content = bytearray(data)
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    link = first + 2 + 12 * count
    rows = range(first + 2, link, 12)
    (row,) = (row for row in rows if struct.unpack_from("<H", content, row) == (330,))
    content[row + 8 : row + 12] = content[link : link + 4]
    content[link : link + 4] = bytes(4)
    return bytes(content)


def noise(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng(2)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
