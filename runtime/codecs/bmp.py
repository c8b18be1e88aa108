"""Reads BMP with bit fields or 2-bit palettes, which Pillow hardly supports.

Pillow reads the others. Alpha that is zero everywhere is no alpha: programs leave it unset.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ImageReadError
from runtime.image.stated_colours import Chromaticities, StatedColours

HEADER_BYTES = 14 + 124
"""Leading bytes of a file that hold every header."""

ALPHA_NOTE = "its alpha is zero everywhere, and was treated as unused"
_OS2 = (12, 16, 64)
"""Header sizes of OS/2; the last two number compressions differently."""

_RAW, _RLE8, _RLE4, _BITFIELDS, _JPEG, _PNG, _ALPHA_BITFIELDS = range(7)
_UNREAD = {_JPEG: "JPEG", _PNG: "PNG", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_PLAIN_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


@dataclass(frozen=True, kw_only=True)
class Bmp:
    """Facts from a BMP header."""

    size_hw: tuple[int, int]
    bits: int
    is_top_down: bool
    masks: tuple[int, int, int, int]
    """Bit masks of red, green, blue and alpha; all 0 if there is a palette."""
    samples_at: int
    palette_at: int
    palette_entries: int
    is_ours: bool
    """True if this module decodes the file instead of Pillow."""
    colours: StatedColours | None
    """Colours stated without a profile."""
    profile_at: tuple[int, int]
    """Offset and length of the profile; 0 if there is none."""

    dpi: tuple[float, float] | None

    @property
    def notes(self) -> list[str]:
        """Return notes on what is lost."""
        deepest = max(mask.bit_count() for mask in self.masks)
        return ["reduced to 8 bits"] if deepest > 8 else []

    @property
    def has_alpha(self) -> bool:
        """True if pixels have an alpha channel, used or not."""
        return bool(self.masks[3])


def is_bmp(begin: bytes) -> bool:
    """Return whether a file's first bytes are those of a BMP."""
    return begin[:2] == b"BM"


def read_bmp(begin: bytes) -> Bmp | None:
    """Parse the header; None if Pillow can decide what to do.

    Args:
        begin: at least the first `HEADER_BYTES` of the file.

    Raises:
        ImageReadError: it is of an unsupported kind.
    """
    if len(begin) < 14 + 40:
        return None
    samples_at, size = struct.unpack_from("<II", begin, 10)
    if size in _OS2:
        return _os2(begin, size)
    if size not in (40, 52, 56, 108, 124):
        raise _unsupported(f"a header of {size} bytes")
    width, height, _, bits, method = struct.unpack_from("<iiHHI", begin, 18)
    entries = struct.unpack_from("<I", begin, 46)[0] or (1 << bits if bits <= 8 else 0)
    if method in _UNREAD:
        raise _unsupported(f"{_UNREAD[method]} inside")
    masks = _PLAIN_MASKS.get(bits, (0, 0, 0, 0))
    behind = 14 + size
    if method in (_BITFIELDS, _ALPHA_BITFIELDS):
        count = 4 if method == _ALPHA_BITFIELDS or size >= 56 else 3
        found = struct.unpack_from(f"<{count}I", begin.ljust(HEADER_BYTES, b"\0"), 54)
        masks = cast("tuple[int, int, int, int]", (*found, 0)[:4])
        behind += 4 * count if size == 40 else 0
        _check(masks, bits)
        masks = masks if any(masks[:3]) else _PLAIN_MASKS.get(bits, masks)
    return Bmp(
        size_hw=(abs(height), width),
        bits=bits,
        is_top_down=height < 0,
        masks=masks,
        samples_at=samples_at,
        palette_at=behind,
        palette_entries=min(entries, 1 << bits),
        dpi=_dpi(begin),
        colours=_calibrated(begin) if size >= 108 else None,
        profile_at=_profile(begin) if size == 124 else (0, 0),
        is_ours=(method in (_BITFIELDS, _ALPHA_BITFIELDS) or bits == 2) and width > 0,
    )


def bmp_image(data: bytes, bmp: Bmp) -> Image.Image:
    """Decode a file whose `is_ours` is true.

    Returns:
        Mode RGB or RGBA.

    Raises:
        ImageReadError: samples are missing.
    """
    height, width = bmp.size_hw
    stride = (width * bmp.bits + 31) // 32 * 4
    if len(data) < bmp.samples_at + stride * height:
        raise ImageReadError("is damaged (its samples end early): copy or export it again")
    rows = np.frombuffer(data, np.uint8, stride * height, bmp.samples_at).reshape(height, stride)
    rows = rows if bmp.is_top_down else rows[::-1]
    if bmp.bits == 2:
        return Image.fromarray(_with_palette(rows, data, bmp))
    size = bmp.bits // 8
    single = rows[:, : width * size].reshape(height, width, size).astype(np.uint32)
    pixels = np.zeros((height, width), np.uint32)
    for at in range(size):
        pixels |= single[..., at] << 8 * at
    masks = bmp.masks if bmp.has_alpha else bmp.masks[:3]
    return Image.fromarray(np.stack([_stretched(pixels, mask) for mask in masks], axis=2))


def _os2(begin: bytes, size: int) -> Bmp | None:
    if size == 12:
        return None
    if size == 16:
        raise _unsupported("a short header of OS/2")
    (method,) = struct.unpack_from("<I", begin, 30)
    if method in (3, 4):
        raise _unsupported("OS/2's Huffman coding" if method == 3 else "OS/2's 24-bit run lengths")
    return None


def _dpi(begin: bytes) -> tuple[float, float] | None:
    per_metre = struct.unpack_from("<ii", begin, 38)
    if min(per_metre) <= 0:
        return None
    return per_metre[0] * 0.0254, per_metre[1] * 0.0254


def _profile(begin: bytes) -> tuple[int, int]:
    place, length = struct.unpack_from("<II", begin.ljust(HEADER_BYTES, b"\0"), 14 + 112)
    return (14 + place, length) if begin[70:74] == b"DEBM" else (0, 0)  # "MBED", embedded


def _calibrated(begin: bytes) -> StatedColours | None:
    """Parse calibrated colours (red, green and blue endpoints); most programs leave them zero."""
    if len(begin) < 14 + 108 or begin[70:74] != bytes(4):
        return None
    lights = np.array(struct.unpack_from("<9i", begin, 74)).reshape(3, 3) / 2**30
    gammas = np.array(struct.unpack_from("<3I", begin, 110)) / 65536
    sums = lights.sum(axis=1)
    if sums.min() <= 0 or np.ptp(gammas) > 0.01 or not 0.1 <= gammas[0] <= 10:
        return None
    white = lights.sum(axis=0)
    points = [light[:2] / light.sum() for light in (white, *lights)]
    if np.linalg.det(lights) < 1e-4 or min(point[1] for point in points) <= 0:
        return None
    numbers = cast("Chromaticities", tuple(float(value) for point in points for value in point))
    return StatedColours(by="its BMP header", chromaticities=numbers, curve=(float(gammas[0]),))


def _unsupported(what: str) -> ImageReadError:
    return ImageReadError(f"is BMP with {what}, which is not supported: save it as PNG")


def _check(masks: tuple[int, ...], bits: int) -> None:
    together = 0
    for mask in masks:
        run = mask // (mask & -mask) if mask else 0
        if mask >> bits or run & (run + 1) or together & mask:
            raise _unsupported("bit fields that overlap or have gaps")
        together |= mask
    if bits not in (16, 24, 32):
        raise _unsupported(f"bit fields of {bits} bits")


def _stretched(pixels: NDArray[np.uint32], mask: int) -> NDArray[np.uint8]:
    """Extract the field of a mask, scaled to 0 to 255; zero for an empty mask."""
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    low = mask & -mask
    full = mask // low
    values = (pixels.astype(np.uint64) & mask) // low
    # To the nearest: 255 of all it can be.
    return ((values * 510 + full) // (2 * full)).astype(np.uint8)


def _with_palette(rows: NDArray[np.uint8], data: bytes, bmp: Bmp) -> NDArray[np.uint8]:
    entries = np.frombuffer(data, np.uint8, 4 * bmp.palette_entries, bmp.palette_at)
    palette = np.zeros((4, 3), np.uint8)
    palette[: bmp.palette_entries] = entries.reshape(-1, 4)[:, 2::-1]
    shifts = np.array([6, 4, 2, 0], np.uint8)
    indices = (rows[..., None] >> shifts & 3).reshape(len(rows), -1)
    return np.asarray(palette[indices[:, : bmp.size_hw[1]]])
