from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.png import has_all_samples


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(
    samples: bytes, *, size: tuple[int, int], depth: int, colour: int, interlaced: int
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    packed = zlib.compress(samples)
    parts = [chunk(b"IHDR", header)]
    parts += [chunk(b"IDAT", packed[start : start + 7]) for start in range(0, len(packed), 7)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "colour", "size", "expected"),
    [
        (8, 2, (5, 3), 3 * 16),
        (1, 0, (9, 3), 3 * 3),
        (16, 6, (2, 2), 2 * 17),
        (4, 3, (3, 2), 2 * 3),
        (8, 4, (3, 2), 2 * 7),
    ],
)
def test_whole_and_one_byte_short(
    depth: int, colour: int, size: tuple[int, int], expected: int
) -> None:
    for count, whole in (
        (expected, True),
        (expected - 1, False),
        (expected + 99, True),
        (0, False),
    ):
        data = png(bytes(count), size=size, depth=depth, colour=colour, interlaced=0)
        assert has_all_samples(data) == whole


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 9), (8, 8), (17, 3)])
def test_interlaced(size: tuple[int, int]) -> None:
    """Each pixel comes once; each row of each pass has a byte more."""
    rows = sum(
        len(range(y, size[1], dy))
        for x, y, dx, dy in [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
        if x < size[0] and dx
    )
    expected = size[0] * size[1] + rows
    for count, whole in ((expected, True), (expected - 1, False)):
        data = png(bytes(count), size=size, depth=8, colour=0, interlaced=1)
        assert has_all_samples(data) == whole


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_what_pillow_writes_is_whole(mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900), np.uint8)
    image = (
        Image.fromarray(noise.astype(np.uint16))
        if mode == "I;16"
        else Image.fromarray(noise).convert(mode)
    )
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert has_all_samples(buffer.getvalue())
