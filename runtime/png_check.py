"""PNG files whose samples end early: Pillow fills up with black and says nothing."""

from __future__ import annotations

import struct
import zlib

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Where each of the seven passes of an interlaced file begins, and its steps: x, y, dx, dy.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_STEP_BYTES = 1 << 20


def has_all_samples(data: bytes) -> bool:
    """Whether a PNG file holds as many samples as its header says.

    Args:
        data: the file, whose chunks are sound (`PIL.Image.Image.verify`).
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS[colour]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    missing = sum(
        _bytes(-(-(width - x) // dx), -(-(height - y) // dy), bits) for x, y, dx, dy in passes
    )
    inflater = zlib.decompressobj()
    position = 8
    while position < len(data) and missing > 0:
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"IDAT":
            pending = data[position + 8 : position + 8 + length]
            while pending and missing > 0 and not inflater.eof:
                missing -= len(inflater.decompress(pending, _STEP_BYTES))
                pending = inflater.unconsumed_tail
        position += 12 + length
    while missing > 0 and not inflater.eof:
        more = inflater.decompress(b"", _STEP_BYTES)
        if not more:
            break
        missing -= len(more)
    return missing <= 0


def _bytes(width: int, height: int, bits: int) -> int:
    """Of one pass, with a byte before each row that names its filter."""
    return height * (1 + -(-width * bits // 8)) if width > 0 and height > 0 else 0
