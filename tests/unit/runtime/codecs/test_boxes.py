"""Boxes of AVIF and HEIC."""

from __future__ import annotations

import io
import struct

from runtime.codecs.boxes import boxes_in, file_boxes


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def test_file() -> None:
    wide = struct.pack(">I4sQ", 1, b"meta", 16 + 3) + b"abc"
    last = struct.pack(">I4s", 0, b"uuid") + bytes(range(40))
    file = io.BytesIO(box(b"ftyp", b"avif") + wide + box(b"mdat", bytes(9)) + last)
    assert list(file_boxes(file)) == [
        (b"ftyp", b""),
        (b"meta", b"abc"),
        (b"mdat", b""),
        (b"uuid", bytes(range(16))),
    ]


def test_a_size_below_that_of_a_header_ends_the_file() -> None:
    file = io.BytesIO(struct.pack(">I4s", 4, b"meta") + bytes(40))
    assert list(file_boxes(file)) == [(b"meta", b"")]


def test_inside() -> None:
    rest = struct.pack(">I4s", 0, b"rest") + b"xy"
    content = box(b"aaaa", b"1") + rest
    assert list(boxes_in(content)) == [(b"aaaa", b"1"), (b"rest", b"xy")]
    assert list(boxes_in(struct.pack(">I4s", 7, b"bbbb"))) == []
