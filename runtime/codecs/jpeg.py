"""Writes JPEG row by row, which Pillow can only write whole.

Pillow encodes strips of 64 rows as JPEG files of their own, with a restart marker after each row
of blocks. Such a marker resets the encoder, and its number counts to 8; so the encoded samples of
one strip, one more marker, and those of the next strip are what one file has (ITU-T T.81, B.2.1
and E.1.4). The decoded pixels are those of a file written whole.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from PIL import Image

from runtime.image.picture import Picture
from runtime.image.strips import interleaved, regrouped

STRIP_ROWS = 64
"""Eight rows of blocks, after which the numbers of restart markers repeat."""

_SIZE_MARKER, _SCAN_MARKER = 0xC0, 0xDA
_LAST_RESTART, _END = b"\xff\xd7", b"\xff\xd9"


def write_jpeg(
    header: Picture, strips: Iterable[Picture], file: IO[bytes], options: dict[str, Any]
) -> None:
    """Write a picture whose rows come in strips.

    Args:
        header: size and metadata of the whole; its samples are ignored.
        strips: all rows from top to bottom, 8 bits, without alpha.
        file: binary.
        options: Pillow's options, such as quality, profile and EXIF; no chroma subsampling.
    """
    assert options["subsampling"] == 0, "else a row of blocks would have 16 rows"
    for number, strip in enumerate(regrouped(strips, STRIP_ROWS)):
        samples = np.ascontiguousarray(interleaved(strip))
        image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", restart_marker_rows=1, **options)
        data = encoded.getvalue()
        scan = _scan_start(data)
        assert data.endswith(_END)
        if number:
            file.write(_LAST_RESTART)
        else:
            file.write(_with_height(data[:scan], header.size_hw[0]))
        file.write(data[scan : -len(_END)])
    file.write(_END)


def _scan_start(data: bytes) -> int:
    """Return the offset of the entropy-coded samples."""
    position, kind = 2, 0
    while kind != _SCAN_MARKER:
        kind, length = struct.unpack_from(">xBH", data, position)
        position += 2 + length
    return position


def _with_height(tables: bytes, height: int) -> bytes:
    """Return the segments before the samples with another height."""
    position, kind = 2, 0
    while kind != _SIZE_MARKER:
        at = position
        kind, length = struct.unpack_from(">xBH", tables, position)
        position += 2 + length
    return tables[: at + 5] + struct.pack(">H", height) + tables[at + 7 :]
