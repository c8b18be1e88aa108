"""The boxes of AVIF and HEIC files (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

FORMATS_OF_BOXES = ("AVIF", "HEIF")
"""Pillow's names of the formats that consist of boxes."""

_MAX_META_BYTES = 1 << 24
_EXTENDED_TYPE_BYTES = 16


def file_boxes(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names of a file's outermost boxes, with content where it is metadata.

    Args:
        file: at any place.

    Yields:
        The name, and the content of `meta`, the 16-byte type of `uuid`, or nothing.
    """
    place = 0
    while True:
        file.seek(place)
        begin = file.read(16)
        if len(begin) < 8:
            return
        size, name = struct.unpack_from(">I4s", begin)
        header = 8
        if size == 1:  # its length has 64 bits
            size, header = int.from_bytes(begin[8:], "big"), 16
        is_last = size == 0
        file.seek(place + header)
        wanted = {b"meta": _MAX_META_BYTES, b"uuid": _EXTENDED_TYPE_BYTES}.get(name, 0)
        yield name, file.read(wanted if is_last else max(0, min(size - header, wanted)))
        if size < header:
            return
        place += size


def boxes_in(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of the boxes inside another."""
    at = 0
    while at + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        size = size or len(content) - at
        if size < 8:
            return
        yield name, content[at + 8 : at + size]
        at += size
