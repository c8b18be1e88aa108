"""Writes TIFF and BigTIFF: any number of pages, 8 or 16 bits, profile, EXIF, XMP and resolution.

Pillow writes no 16-bit colours, and compresses only by way of a library that holds no nested
EXIF. Its tables of tags are used; the samples are compressed here: differences of neighbours
(predictor 2), then Deflate, which every reader of the last twenty years knows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import IO, cast

from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from runtime.codecs.exif import as_read
from runtime.codecs.iptc import IPTC_TAG
from runtime.codecs.tiff_places import add_places
from runtime.image.picture import Picture, Samples
from runtime.image.strips import interleaved, regrouped

STRIP_BYTES = 1 << 20
BIG_BYTES = 2**32 - 2**22
"""Use BigTIFF above this size: the 32-bit offsets of classic TIFF may not suffice."""

_BYTE, _SHORT, _LONG, _UNDEFINED, _LONG8 = 1, 3, 4, 7, 16


def write_tiff(pages: Sequence[Picture], file: IO[bytes]) -> None:
    """Write pictures as the pages of a file.

    Args:
        pages: at least one; each with its own size, kind and metadata, as to be written.
        file: binary, seekable, at its start.
    """
    write_tiff_strips([(page, [page]) for page in pages], file)


def write_tiff_strips(pages: Sequence[tuple[Picture, Iterable[Picture]]], file: IO[bytes]) -> None:
    """Write pages whose rows come in strips.

    Args:
        pages: at least one. The first of each pair has the size, kind and metadata of the whole;
            its samples are not looked at. The second has all its rows from top to bottom.
        file: binary, seekable, at its start.
    """
    is_big = sum(header.nbytes for header, _ in pages) >= BIG_BYTES
    file.write(
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
        if is_big
        else struct.pack("<2sHI", b"II", 42, 8)
    )
    link: int | None = None
    for header, strips in pages:
        if link is not None:
            _write_at(file, link, struct.pack("<Q" if is_big else "<I", file.tell()))
        start = file.tell()
        tags = _write_page(header, strips, file, is_big=is_big, is_one_of_several=len(pages) > 1)
        file.write(bytes(file.tell() % 2))
        # Behind a table's tags is where the next one begins.
        link = start + (8 + 20 * tags if is_big else 2 + 12 * tags)


def _write_at(file: IO[bytes], position: int, content: bytes) -> None:
    end = file.tell()
    file.seek(position)
    file.write(content)
    file.seek(end)


def _write_page(
    header: Picture,
    strips: Iterable[Picture],
    file: IO[bytes],
    *,
    is_big: bool,
    is_one_of_several: bool,
) -> int:
    """Write a page at the file's current position.

    Returns:
        How many tags its table has.
    """
    start = file.tell()
    channels = (1 if header.is_grey else 3) + (header.alpha_hw is not None)
    height, width = header.size_hw
    rows = max(1, STRIP_BYTES // (width * channels * header.rgb_hwc.itemsize))
    count = -(-height // rows)
    table = _table(header, channels, rows, is_big=is_big)
    if is_one_of_several:
        table[254] = 2  # one page of several
    # Its length is known beforehand, its content afterwards.
    _set_strips(table, [0] * count, is_big=is_big)
    file.write(table.tobytes(start))
    lengths = [file.write(strip) for strip in _compressed(strips, rows)]
    assert len(lengths) == count, "all rows of the header's size must come"
    _set_strips(table, lengths, is_big=is_big)
    _write_at(file, start, table.tobytes(start))
    return len(table)


def _table(header: Picture, channels: int, rows: int, *, is_big: bool) -> ImageFileDirectory_v2:
    table = ImageFileDirectory_v2(
        b"II\x2b\0\x08\0\0\0" + bytes(8) if is_big else b"II\x2a\0\0\0\0\0"
    )
    table[256], table[257] = header.size_hw[1], header.size_hw[0]
    table[258] = (8 * header.rgb_hwc.itemsize,) * channels
    table[259] = 8  # Deflate
    table[262] = 1 if header.is_grey else 2
    table[277], table[278], table[284], table[317] = channels, rows, 1, 2
    if header.alpha_hw is not None:
        table[338] = 2  # alpha that colours are not multiplied with
    _add_metadata(table, header)
    return table


def _set_strips(table: ImageFileDirectory_v2, lengths: list[int], *, is_big: bool) -> None:
    # Offsets relative to the end of the table; Pillow adds where that is.
    offsets = list(accumulate(lengths[:-1], initial=0))
    for tag, values in ((273, offsets), (279, lengths)):
        table.tagtype[tag] = _LONG8 if is_big else _LONG
        table[tag] = tuple(values)


def _add_metadata(table: ImageFileDirectory_v2, page: Picture) -> None:
    if page.dpi:
        table[282], table[283] = (IFDRational(round(value * 1000), 1000) for value in page.dpi)
        table[296] = 2  # per inch
    if page.xmp:
        table.tagtype[700] = _BYTE
        table[700] = page.xmp
    if page.iptc:
        table.tagtype[IPTC_TAG] = _UNDEFINED
        table[IPTC_TAG] = page.iptc
    if page.places:
        add_places(table, page.places)
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
                table[tag] = as_read(nested)
            elif tag not in table:
                table[tag] = as_read(block[tag])


def _compressed(strips: Iterable[Picture], rows: int) -> Iterator[bytes]:
    for strip in regrouped(strips, rows):
        samples = interleaved(strip)
        samples = cast(Samples, samples.astype(samples.dtype.newbyteorder("<"), copy=False))
        differences = samples.copy()
        differences[:, 1:] -= samples[:, :-1]
        yield zlib.compress(differences.tobytes(), 1)
