"""Segments of JPEG files."""

from __future__ import annotations

import io

import pytest

from runtime.codecs.jpeg_segments import BEGIN_BYTES, jpeg_segments

SCAN = b"\xff\xda\0\2"


@pytest.mark.parametrize(
    ("content", "segments"),
    [
        (b"\xff\xe1\0\5abc\xff\xfe\0\3x" + SCAN + b"\xff\xe2\0\3y", [(0xE1, b"abc"), (0xFE, b"x")]),
        (b"\xff\xff\xff\xe1\0\3a" + SCAN, [(0xE1, b"a")]),  # fill bytes
        (b"\xff\x01\xff\xe1\0\3a" + SCAN, [(0xE1, b"a")]),  # a marker without content
        (b"\xff\xe1\0\0\xff\xe2\0\3b" + SCAN, [(0xE1, b""), (0xE2, b"b")]),
        (b"\xff\xe1\0\3a\0\0\0\0", [(0xE1, b"a")]),  # damaged
        (b"\xff\xe1\0\3a", [(0xE1, b"a")]),  # cut off
        (b"\xff\xe1\1\2" + bytes(256) + SCAN, [(0xE1, bytes(BEGIN_BYTES))]),
    ],
)
def test_segments(content: bytes, segments: list[tuple[int, bytes]]) -> None:
    assert list(jpeg_segments(io.BytesIO(b"\xff\xd8" + content))) == segments
