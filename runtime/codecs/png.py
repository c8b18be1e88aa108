"""Writes 8- and 16-bit PNG fast enough for a GPU, row by row if necessary.

Also finds files whose samples end early: Pillow fills up with black and says nothing.

Pillow tries five filters on each row, which takes most of its time; here every row is filtered as
its difference from the one above. With ISA-L, where the package `isal` is installed, that makes
files of the same size in a sixth of the time (docs/benchmarks).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.codecs.png_chunks import SIGNATURE, chunk_bytes, chunks_of, walk_chunks
from runtime.image.picture import Picture
from runtime.image.strips import interleaved

_BLOCK_BYTES = 1 << 20
_PAINT = {1: ("L", 0), 2: ("LA", 4), 3: ("RGB", 2), 4: ("RGBA", 6)}
"""Pillow's mode and PNG's colour type by number of channels."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Number of channels by colour type."""
# Where each of the seven passes of an interlaced file begins, and its steps: x, y, dx, dy.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_STEP_BYTES = 1 << 20


def write_png(
    header: Picture, strips: Iterable[Picture], file: IO[bytes], options: dict[str, Any]
) -> None:
    """Write a picture whose rows come in strips.

    Pillow writes one pixel with all the metadata; of its file everything is kept but the header
    and the samples.

    Args:
        header: size and kind of the whole; its samples are ignored.
        strips: all rows from top to bottom.
        file: binary.
        options: Pillow's options: profile, EXIF, text and resolution.
    """
    depth = 8 * header.rgb_hwc.itemsize
    channels = (1 if header.is_grey else 3) + (header.alpha_hw is not None)
    mode, kind = _PAINT[channels]
    pixel = io.BytesIO()
    Image.new(mode, (1, 1)).save(pixel, "PNG", **options)
    file.write(SIGNATURE)
    for chunk in chunks_of(pixel).kept:
        if chunk.name == b"IHDR":
            height, width = header.size_hw
            content = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
            file.write(chunk_bytes(chunk.name, content))
        elif chunk.name == b"IDAT":
            _write_samples(file, strips)
        else:
            file.write(chunk_bytes(chunk.name, chunk.content))


def _write_samples(file: IO[bytes], strips: Iterable[Picture]) -> None:
    """Write each row as its bytewise difference from the one above (filter 2)."""
    compressor = _compressor()
    above: NDArray[np.uint8] | None = None
    for block in _blocks(strips):
        if above is None:
            above = np.zeros((1, block.shape[1]), np.uint8)
        filtered = np.full((len(block), 1 + block.shape[1]), 2, np.uint8)
        np.subtract(block[:1], above, out=filtered[:1, 1:])
        np.subtract(block[1:], block[:-1], out=filtered[1:, 1:])
        above = block[-1:].copy()
        content = compressor.compress(filtered.data)
        if content:
            file.write(chunk_bytes(b"IDAT", content))
    file.write(chunk_bytes(b"IDAT", compressor.flush()))


def _compressor() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(1)
    return isal_zlib.compressobj(1)


def _blocks(strips: Iterable[Picture]) -> Iterator[NDArray[np.uint8]]:
    """Yield blocks of rows as bytes in PNG's order."""
    for strip in strips:
        samples = interleaved(strip)
        height, width, channels = samples.shape
        row_bytes = width * channels * samples.itemsize
        rows = max(1, _BLOCK_BYTES // row_bytes)
        for top in range(0, height, rows):
            block = np.ascontiguousarray(samples[top : top + rows])
            if block.itemsize == 2:
                block = block.astype(">u2")
            yield block.view(np.uint8).reshape(-1, row_bytes)


def has_all_samples(data: bytes) -> bool:
    """Return whether a PNG file holds as many samples as its header states.

    Args:
        data: the file, whose chunks are sound (`png_chunks.sound`).
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS[colour]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    missing = sum(
        _bytes(-(-(width - x) // dx), -(-(height - y) // dy), bits) for x, y, dx, dy in passes
    )
    inflater = zlib.decompressobj()
    for chunk, _ in walk_chunks(io.BytesIO(data)):
        if missing <= 0:
            break
        if chunk.name == b"IDAT":
            pending = data[chunk.start + 8 : chunk.stop - 4]
            while pending and missing > 0 and not inflater.eof:
                missing -= len(inflater.decompress(pending, _STEP_BYTES))
                pending = inflater.unconsumed_tail
    while missing > 0 and not inflater.eof:
        more = inflater.decompress(b"", _STEP_BYTES)
        if not more:
            break
        missing -= len(more)
    return missing <= 0


def _bytes(width: int, height: int, bits: int) -> int:
    """Return the bytes of one pass, including a filter byte before each row."""
    return height * (1 + -(-width * bits // 8)) if width > 0 and height > 0 else 0
