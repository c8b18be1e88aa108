"""Reads TIFF samples that Pillow refuses or would reduce to 8 bits.

Pillow's library decompresses any bytes, if told that they are grey of 8 bits. What they mean is
worked out here (TIFF 6.0; Adobe's technical note 3 for predictor 3), so no bit is lost.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.codecs.tiff_layout import ASSOCIATED, WEBP, WHITE_IS_ZERO, Layout
from runtime.codecs.tiff_tags import Table
from runtime.errors import ImageReadError
from runtime.image.picture import Samples

_BLOCK_BYTES = 1 << 26
_WHOLE_BYTES = (8, 16, 32, 64)
_HORIZONTAL, _FLOATING = 2, 3
FLOAT_NOTE = "floating-point samples were read as 0 (black) to 1 (white), with 16 bits"


def read_samples(data: bytes, table: Table, layout: Layout) -> Samples:
    """Read the colours of a page, followed by alpha if it has one.

    Args:
        data: the file.
        table: tag table of the page.
        layout: its sample layout, with `is_ours` true.

    Returns:
        (H, W, C) as stored, white being the highest; uint8 or uint16 over the type's full range.
        Floating-point numbers become 16 bits. No colours are multiplied with alpha any more.

    Raises:
        ImageReadError: the samples are damaged, or floating-point numbers beyond 0 and 1.
    """
    kept = [*range(layout.colours), *([] if layout.alpha is None else [layout.alpha])]
    if layout.is_planar:
        samples = np.dstack([_plane(data, table, layout, number) for number in kept])
    else:
        samples = _plane(data, table, layout, None)[..., kept]
    if layout.is_float:
        _check_range(samples)
        samples = samples.astype(np.float64)  # float16 would lose precision below
    if layout.photometric == WHITE_IS_ZERO:
        full = 1.0 if layout.is_float else np.iinfo(samples.dtype).max
        samples[..., 0] = full - samples[..., 0]
    if layout.alpha is not None and layout.extra[layout.alpha - layout.colours] == ASSOCIATED:
        samples = _divided_by_alpha(samples)
    if layout.is_float:
        samples = np.rint(samples * 65535)
    return cast(Samples, samples.astype(np.uint8 if layout.bits[0] <= 8 else np.uint16))


def _check_range(samples: NDArray[Any]) -> None:
    lowest, highest = float(samples.min()), float(samples.max())
    if math.isnan(lowest):
        raise ImageReadError(
            "some of its samples are not numbers (NaN): replace them, and convert it to 16 bits "
            "unsigned"
        )
    if lowest < 0 or highest > 1:
        raise ImageReadError(
            f"its samples are floating-point numbers from {lowest:.4g} to {highest:.4g}; only "
            "those from 0 (black) to 1 (white) are read: convert it to 16 bits unsigned"
        )


def _divided_by_alpha(samples: NDArray[Any]) -> NDArray[Any]:
    full = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
    alpha = samples[..., -1:].astype(np.float64)
    colour = np.zeros(samples[..., :-1].shape)
    np.divide(samples[..., :-1] * full, alpha, where=alpha > 0, out=colour)
    colour = np.minimum(colour, full)
    if samples.dtype.kind != "f":
        colour = np.rint(colour)
    return np.concatenate((colour.astype(samples.dtype), samples[..., -1:]), axis=2)


def _plane(data: bytes, table: Table, layout: Layout, number: int | None) -> NDArray[Any]:
    """Read all channels, or one separate plane: (H, W, C), in native byte order."""
    height, width = layout.size_hw
    channels = len(layout.bits) if number is None else 1
    tiled = 322 in table.entries
    segment_hw = (
        (table.integer(323, 0), table.integer(322, 0))
        if tiled
        else (min(height, table.integer(278, height)), width)
    )
    if min(segment_hw) < 1:
        raise ImageReadError("is damaged (its tiles have no size): copy or export it again")
    segments = _segments(data, table, tiled=tiled)
    rows, across = -(-height // segment_hw[0]), -(-width // segment_hw[1])
    if number is not None:
        segments = segments[number * rows * across :]
    if len(segments) < rows * across:
        raise ImageReadError("is damaged (samples are missing): copy or export it again")
    result = np.empty((height, width, channels), _type(layout).newbyteorder("="))
    parts = _parts(segments[: rows * across], layout, segment_hw, channels, height)
    for place, part in enumerate(parts):
        top, left = place // across * segment_hw[0], place % across * segment_hw[1]
        target = result[top : top + segment_hw[0], left : left + segment_hw[1]]
        target[:] = part[: target.shape[0], : target.shape[1]]
    return result


def _type(layout: Layout) -> np.dtype[Any]:
    if layout.bits[0] not in _WHOLE_BYTES:
        return np.dtype(np.uint8 if layout.bits[0] < 8 else np.uint16)
    return np.dtype(f"{layout.order}{'f' if layout.is_float else 'u'}{layout.bits[0] // 8}")


def _segments(data: bytes, table: Table, *, tiled: bool) -> list[bytes | memoryview]:
    places, lengths = table.integers(324 if tiled else 273), table.integers(325 if tiled else 279)
    if len(lengths) < len(places):
        # Some old programs state no lengths: what follows is cut to size when it is decoded.
        lengths = tuple(len(data) - place for place in places)
    view = memoryview(data)
    return [view[place : place + length] for place, length in zip(places, lengths, strict=False)]


def _parts(
    segments: list[bytes | memoryview],
    layout: Layout,
    segment_hw: tuple[int, int],
    channels: int,
    height: int,
) -> Iterator[NDArray[Any]]:
    """Yield strips or tiles, each (H, W, C)."""
    if layout.compression == WEBP:
        yield from (_from_webp(segment, channels) for segment in segments)
        return
    rows, width = segment_hw
    row_bytes = (width * channels * layout.bits[0] + 7) // 8
    at_once = max(1, _BLOCK_BYTES // (rows * row_bytes))
    last_rows = height - (len(segments) - 1) * rows  # only strips end where the picture does
    if width < layout.size_hw[1] or not 0 < last_rows < rows:
        last_rows = rows
    for first in range(0, len(segments), at_once):
        group = segments[first : first + at_once]
        is_last = first + at_once >= len(segments)
        count = (len(group) - 1) * rows + (last_rows if is_last else rows)
        content = _decompressed(group, layout, row_bytes, rows, count)
        samples = _samples(content, layout, width, channels)
        for top in range(0, count, rows):
            yield samples[top : top + rows]


def _from_webp(segment: bytes | memoryview, channels: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(segment), formats=("WEBP",)) as image:
        return np.asarray(image.convert("RGB" if channels == 3 else "RGBA"))


def _decompressed(
    segments: list[bytes | memoryview], layout: Layout, row_bytes: int, rows: int, count: int
) -> NDArray[np.uint8]:
    """Decompress `rows` rows of bytes."""
    is_deflate = layout.compression in (8, 32946) and layout.fill_order == 1
    if layout.compression == 1 or is_deflate:
        size = rows * row_bytes
        content = b"".join(
            zlib.decompressobj().decompress(segment, size) if is_deflate else segment[:size]
            for segment in segments
        )
        if len(content) < count * row_bytes:
            raise ImageReadError("is damaged (its samples end early): copy or export it again")
        raw = np.frombuffer(content, np.uint8, count * row_bytes)
        if layout.fill_order == 2:
            raw = np.packbits(np.unpackbits(raw, bitorder="little"))
        return raw.reshape(count, row_bytes)
    with Image.open(
        io.BytesIO(_grey_tiff(segments, layout, row_bytes, rows, count)), formats=("TIFF",)
    ) as image:
        return np.asarray(image)


def _grey_tiff(
    segments: list[bytes | memoryview], layout: Layout, row_bytes: int, rows: int, count: int
) -> bytes:
    """Build a TIFF whose strips are the segments, declared as 8-bit grey."""
    lengths = [len(segment) for segment in segments]
    lists = 8 + 2 + 12 * 10 + 4
    places = list(accumulate(lengths[:-1], initial=lists + 8 * len(segments)))
    # A single value stands in the table itself.
    if len(segments) == 1:
        where, sizes = places[0], lengths[0]
    else:
        where, sizes = lists, lists + 4 * len(segments)
    tags = {256: row_bytes, 257: count, 258: 8, 259: layout.compression, 262: 1}
    tags |= {266: layout.fill_order, 273: where, 277: 1, 278: rows, 279: sizes}
    entries = b"".join(
        struct.pack("<HHII", tag, 4, len(segments) if tag in (273, 279) else 1, value)
        for tag, value in tags.items()
    )
    start = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    lists_content = struct.pack(f"<{2 * len(segments)}I", *places, *lengths)
    return b"".join((start, lists_content, *segments))


def _samples(content: NDArray[np.uint8], layout: Layout, width: int, channels: int) -> NDArray[Any]:
    """Reshape rows of bytes to (H, W, C), undoing the predictor."""
    kind = _type(layout)
    if layout.bits[0] not in _WHOLE_BYTES:
        values = np.empty((len(content), width, channels), kind)
        for row, packed in zip(values, content, strict=True):
            row[:] = _unpacked(packed, layout.bits[0], row.size, kind).reshape(row.shape)
        return values
    if layout.predictor == _FLOATING:
        return _with_floating_predictor(content, kind, channels)
    samples = np.ascontiguousarray(content).view(kind).reshape(len(content), -1, channels)
    if layout.predictor == _HORIZONTAL:
        whole = samples.view(np.dtype(f"{layout.order}u{kind.itemsize}"))
        native = whole.astype(whole.dtype.newbyteorder("="))
        sums = np.cumsum(native, axis=1, dtype=native.dtype)
        return sums.view(kind.newbyteorder("="))
    return samples


def _unpacked(
    packed: NDArray[np.uint8], bits: int, count: int, kind: np.dtype[Any]
) -> NDArray[Any]:
    """Unpack one row, most significant bits first in either byte order, over the full range."""
    single = np.unpackbits(packed, count=bits * count).reshape(count, bits)
    values = single @ (1 << np.arange(bits - 1, -1, -1))
    return np.rint(values * (np.iinfo(kind).max / ((1 << bits) - 1))).astype(kind)


def _with_floating_predictor(
    content: NDArray[np.uint8], kind: np.dtype[Any], channels: int
) -> NDArray[Any]:
    """Undo the floating-point predictor: bytes by significance, as differences."""
    rows = len(content)
    sums = np.cumsum(content.reshape(rows, -1, channels), axis=1, dtype=np.uint8)
    planes = sums.reshape(rows, kind.itemsize, -1)
    joined = np.ascontiguousarray(planes.swapaxes(1, 2))
    return joined.view(kind.newbyteorder(">")).reshape(rows, -1, channels)
