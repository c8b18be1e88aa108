"""TIFF and BigTIFF of any number of pages, 8 or 16 bits, with profile, EXIF, XMP and resolution.

Pillow writes no 16-bit colours, and compresses only by way of a library that holds no nested
EXIF. Its tables of tags are used; the samples are compressed here: differences of neighbours
(predictor 2), then Deflate, which every reader of the last twenty years knows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import IO, cast

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from runtime.picture import Picture, Samples

STRIP_BYTES = 1 << 20
BIG_BYTES = 2**32 - 2**22
"""From so many bytes of samples on, a classic TIFF's 32-bit offsets might not do."""

_BYTE, _SHORT, _LONG, _UNDEFINED, _LONG8 = 1, 3, 4, 7, 16


def write_tiff(pages: Sequence[Picture], file: IO[bytes]) -> None:
    """Write pictures as the pages of one file.

    Args:
        pages: at least one; each with its own size, kind and metadata, as to be written.
        file: binary, written from its start.
    """
    is_big = sum(page.nbytes for page in pages) >= BIG_BYTES
    start = 16 if is_big else 8
    file.write(
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, start)
        if is_big
        else struct.pack("<2sHI", b"II", 42, start)
    )
    for number, page in enumerate(pages):
        table, strips = _page(page, is_big=is_big, is_one_of_several=len(pages) > 1)
        written = bytearray(table.tobytes(start))
        length = len(written) + sum(map(len, strips))
        padding = length % 2
        if number + 1 < len(pages):
            _point_to_next(written, len(table), start + length + padding, is_big=is_big)
        file.write(written)
        for strip in strips:
            file.write(strip)
        file.write(bytes(padding))
        start += length + padding


def _point_to_next(table: bytearray, tags: int, offset: int, *, is_big: bool) -> None:
    if is_big:
        struct.pack_into("<Q", table, 8 + 20 * tags, offset)
    else:
        struct.pack_into("<I", table, 2 + 12 * tags, offset)


def _page(
    page: Picture, *, is_big: bool, is_one_of_several: bool
) -> tuple[ImageFileDirectory_v2, list[bytes]]:
    samples = _interleaved(page)
    height, width, channels = samples.shape
    rows = max(1, STRIP_BYTES // (width * channels * samples.itemsize))
    strips = [_compressed(samples[top : top + rows]) for top in range(0, height, rows)]
    table = ImageFileDirectory_v2(
        b"II\x2b\0\x08\0\0\0" + bytes(8) if is_big else b"II\x2a\0\0\0\0\0"
    )
    if is_one_of_several:
        table[254] = 2  # one page of several
    table[256], table[257] = width, height
    table[258] = (8 * samples.itemsize,) * channels
    table[259] = 8  # Deflate
    table[262] = 1 if page.is_grey else 2
    table[277], table[278], table[284], table[317] = channels, rows, 1, 2
    if page.alpha_hw is not None:
        table[338] = 2  # alpha that colours are not multiplied with
    # Relative to the end of the table; Pillow adds where that is.
    offsets = np.cumsum([0, *map(len, strips[:-1])]).tolist()
    for tag, values in ((273, offsets), (279, [len(strip) for strip in strips])):
        table.tagtype[tag] = _LONG8 if is_big else _LONG
        table[tag] = tuple(values)
    _add_metadata(table, page)
    return table, strips


def _add_metadata(table: ImageFileDirectory_v2, page: Picture) -> None:
    if page.dpi:
        table[282], table[283] = (IFDRational(round(value * 1000), 1000) for value in page.dpi)
        table[296] = 2  # per inch
    if page.xmp:
        table.tagtype[700] = _BYTE
        table[700] = page.xmp
    if page.icc_profile:
        table.tagtype[34675] = _UNDEFINED
        table[34675] = page.icc_profile
    if page.exif:
        block = Image.Exif()
        block.load(page.exif)
        for tag in block:
            if tag in (IFD.Exif, IFD.GPSInfo):
                nested = dict(block.get_ifd(tag))
                if IFD.Interop in nested:
                    nested[IFD.Interop] = block.get_ifd(IFD.Interop)
                table.tagtype[tag] = _LONG
                table[tag] = nested
            elif tag not in table:
                table[tag] = block[tag]


def _interleaved(page: Picture) -> Samples:
    colour = page.grey_hw()[..., None] if page.is_grey else page.rgb_hwc
    if page.alpha_hw is not None:
        colour = np.concatenate((colour, page.alpha_hw[..., None]), axis=2)
    return cast(Samples, colour.astype(colour.dtype.newbyteorder("<"), copy=False))


def _compressed(rows: Samples) -> bytes:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.tobytes(), 1)
