"""Pictures and files for tests: blocks of colour, ramps, hand-made headers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from runtime.image.picture import Picture, repeat_grey

RGB = [[(200, 30, 40), (20, 180, 60)], [(30, 60, 220), (128, 128, 128)]]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def blocks(colours: Sequence[Any], side: int = 16) -> NDArray[np.uint8]:
    """Enlarge each value to a block, which lossy formats keep; (H, W) or (H, W, C)."""
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


SIZE_HW = (24, 40)


def smooth(channels: int, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> NDArray[Any]:
    """(H, W, channels): ramps of different directions, which lossy formats keep."""
    rows, columns = np.mgrid[0 : SIZE_HW[0], 0 : SIZE_HW[1]]
    ramps = np.stack([rows * 7 + 40, columns * 5 + 20, 230 - columns * 4, 60 + rows * 8], axis=2)
    scaled = ramps[..., :channels] * (257 if dtype is np.uint16 else 1)
    if dtype is np.uint16:
        scaled = scaled + 100  # so that low bytes matter
    result: NDArray[Any] = scaled.astype(dtype)
    return result


def picture_of(kind: str, **more: Any) -> Picture:
    """Make a picture of a kind such as `grey`, `rgba` or `grey-alpha-16`."""
    dtype: type[np.uint8] | type[np.uint16] = np.uint16 if kind.endswith("-16") else np.uint8
    samples = smooth(4, dtype)
    grey = kind.startswith("grey")
    return Picture(
        rgb_hwc=repeat_grey(samples[..., 0]) if grey else samples[..., :3],
        alpha_hw=samples[..., 3] if "a" in kind.removeprefix("grey").removeprefix("rgb") else None,
        is_grey=grey,
        **more,
    )


def read_back(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


DEEP = [0, 1, 0x1234, 0xFFFF]
