"""PNG of 16 bits a sample in colour or with alpha, which Pillow reads but does not write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import Image

from runtime.picture import Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BLOCK_BYTES = 1 << 20
_PAINT = {1: ("L", 0), 2: ("LA", 4), 3: ("RGB", 2), 4: ("RGBA", 6)}
"""By number of channels: Pillow's mode and PNG's colour type."""


def write_deep_png(picture: Picture, file: IO[bytes], options: dict[str, Any]) -> None:
    """Write a picture of 16 bits.

    Pillow writes one pixel with all the metadata; of its file everything is kept but the header
    and the samples.

    Args:
        picture: its samples are uint16.
        file: binary.
        options: for Pillow: profile, EXIF, text and resolution.
    """
    colour = picture.grey_hw()[..., None] if picture.is_grey else picture.rgb_hwc
    alpha = () if picture.alpha_hw is None else (picture.alpha_hw[..., None],)
    samples = np.concatenate((colour, *alpha), axis=2)
    height, width, channels = samples.shape
    mode, kind = _PAINT[channels]
    pixel = io.BytesIO()
    Image.new(mode, (1, 1)).save(pixel, "PNG", **options)
    file.write(_SIGNATURE)
    for name, content in _chunks(pixel.getvalue()):
        if name == b"IHDR":
            _write_chunk(file, name, struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        elif name == b"IDAT":
            _write_samples(file, samples)
        else:
            _write_chunk(file, name, content)


def _write_samples(file: IO[bytes], samples: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Each row as its difference from the one above, byte by byte (filter 2)."""
    compressor = zlib.compressobj(1)
    height = samples.shape[0]
    row_bytes = samples.shape[1] * samples.shape[2] * 2
    rows = max(1, _BLOCK_BYTES // row_bytes)
    above = np.zeros((1, row_bytes), np.uint8)
    for top in range(0, height, rows):
        block = samples[top : top + rows].astype(">u2").view(np.uint8).reshape(-1, row_bytes)
        filtered = np.full((len(block), 1 + row_bytes), 2, np.uint8)
        filtered[:, 1:] = block - np.concatenate((above, block[:-1]))
        above = block[-1:]
        content = compressor.compress(filtered.tobytes())
        if content:
            _write_chunk(file, b"IDAT", content)
    _write_chunk(file, b"IDAT", compressor.flush())


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        yield name, data[position + 8 : position + 8 + length]
        position += 12 + length


def _write_chunk(file: IO[bytes], name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name + content)
    file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))
