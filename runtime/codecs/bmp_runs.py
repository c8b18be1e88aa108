"""Decodes run lengths of BMP: those of Windows with 4 and 8 bits per pixel, of OS/2 with 24."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ImageReadError

_NEXT_ROW, _END, _MOVE = range(3)


def read_runs(
    data: bytes, size_hw: tuple[int, int], bits: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Decode the pixels, and tell which of them are drawn.

    Args:
        data: the samples; what follows them is ignored.
        size_hw: height and width of the picture.
        bits: bits per pixel: 4, 8 or 24.

    Returns:
        Indices (H, W) or colours (H, W, 3), rows in file order; and (H, W), 255 for drawn pixels
        and 0 for skipped ones, or None if all are drawn.

    Raises:
        ImageReadError: the samples end early.
    """
    height, width = size_hw
    size = 3 if bits == 24 else 1
    pixels, drawn = bytearray(height * width * size), bytearray(height * width)
    at = x = y = 0
    while y < height:
        count, value = data[at : at + 2].ljust(2, b"\0")
        is_move = not count and value == _MOVE
        if at + (4 if is_move else 2) > len(data):
            if min(drawn):
                break  # only the mark of the end is missing
            raise ImageReadError("is damaged (its samples end early): copy or export it again")
        at += 2
        if not count and value == _NEXT_ROW:
            x, y = 0, y + 1
            continue
        if not count and value == _END:
            break
        if is_move:
            x, y = x + data[at], y + data[at + 1]
            at += 2
            continue
        if count:
            run = _repeated(data[at - 1 : at + 2], count, bits)
            at += 2 if bits == 24 else 0
        else:
            count, length = value, (value * bits + 7) // 8
            run = _unpacked(data[at : at + length], count, bits)
            at += length + length % 2
        # What goes beyond the row is lost in every program.
        kept = max(0, min(len(run) // size, width - x))
        place = y * width + x
        pixels[place * size : (place + kept) * size] = run[: kept * size]
        drawn[place : place + kept] = b"\xff" * kept
        x += count
    shape = (height, width, 3) if bits == 24 else (height, width)
    found = np.frombuffer(pixels, np.uint8).reshape(shape)
    found = found[..., ::-1] if bits == 24 else found
    if min(drawn):
        return found, None
    return found, np.frombuffer(drawn, np.uint8).reshape(height, width)


def _repeated(value: bytes, count: int, bits: int) -> bytes:
    """Repeat one pixel, or with 4 bits two alternating ones."""
    if bits == 24:
        return value * count
    if bits == 8:
        return value[:1] * count
    return (bytes((value[0] >> 4, value[0] & 15)) * (count // 2 + 1))[:count]


def _unpacked(content: bytes, count: int, bits: int) -> bytes:
    """Unpack literal pixels."""
    if bits != 4:
        return content
    return bytes(half for byte in content for half in (byte >> 4, byte & 15))[:count]
