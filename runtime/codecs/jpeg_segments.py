"""The segments of a JPEG file before its samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

BEGIN_BYTES = 64
"""Number of leading bytes that are read of a segment's content."""

_START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xDA, 0xD9, 0xFF
_WITHOUT_CONTENT = (0x01, *range(0xD0, 0xD9))


def jpeg_segments(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each segment's marker and the beginning of its content, up to the samples or damage.

    Args:
        file: a JPEG file, at any place.
    """
    place = 2
    while True:
        file.seek(place)
        begin = file.read(4)
        if len(begin) < 4 or begin[0] != 0xFF or begin[1] in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        marker = begin[1]
        if marker == _FILL:
            place += 1
        elif marker in _WITHOUT_CONTENT:
            place += 2
        else:
            (length,) = struct.unpack_from(">H", begin, 2)
            yield marker, file.read(min(max(length - 2, 0), BEGIN_BYTES))
            place += 2 + max(length, 2)
