"""Reads BMP of every kind except those that embed other formats; Pillow lacks many.

Alpha that is zero everywhere is no alpha: programs leave it unset.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.codecs.bmp_runs import read_runs
from runtime.errors import ImageReadError
from runtime.image.stated_colours import Chromaticities, StatedColours

HEADER_BYTES = 14 + 124
"""Leading bytes of a file that hold every header."""

ALPHA_NOTE = "its alpha is zero everywhere, and was treated as unused"
SKIPPED_NOTE = "pixels that its run lengths skip became transparent"

_WINDOWS = (40, 52, 56, 108, 124)
_OS2 = range(16, 65)
"""Header sizes; OS/2 numbers compressions differently, and its headers may end anywhere."""

_RAW, _RLE8, _RLE4, _BITFIELDS, _JPEG, _PNG, _ALPHA_BITFIELDS = range(7)
_RLE24 = 104
"""OS/2's number 4, which means JPEG elsewhere."""

_RUNS = {_RLE8: 8, _RLE4: 4, _RLE24: 24}
"""Run-length compressions, with their bits per pixel."""

_UNREAD = {_JPEG: "JPEG inside", _PNG: "PNG inside"}
_UNREAD |= dict.fromkeys((11, 12, 13), "CMYK inside") | {103: "OS/2's Huffman coding"}
_PLAIN_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0)}
_PLAIN_MASKS |= dict.fromkeys((24, 32), (0xFF0000, 0xFF00, 0xFF, 0))


@dataclass(frozen=True, kw_only=True)
class Bmp:
    """Facts from a BMP header."""

    size_hw: tuple[int, int]
    bits: int
    """Bits per pixel."""
    method: int
    """Compression method."""
    is_top_down: bool
    masks: tuple[int, int, int, int]
    """Bit masks of red, green, blue and alpha; all 0 if there is a palette."""
    samples_at: int
    palette_at: int
    palette_entries: int
    entry_bytes: int
    """Size of a palette entry: blue, green, red, and with 4 an unused byte."""
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
        """True if pixels have an alpha channel, used or not, or may be skipped."""
        return bool(self.masks[3]) or self.method in _RUNS


def is_bmp(begin: bytes) -> bool:
    """Return whether a file's first bytes are those of a BMP."""
    return begin[:2] == b"BM"


def read_bmp(begin: bytes) -> Bmp:
    """Parse the header.

    Args:
        begin: at least the first `HEADER_BYTES` of the file, or all of a shorter one.

    Raises:
        ImageReadError: it is of an unsupported kind or damaged.
    """
    samples_at, size = struct.unpack_from("<II", begin.ljust(18, b"\0"), 10)
    if size > 12 and size not in (*_OS2, *_WINDOWS):
        raise _unsupported(f"a header of {size} bytes")
    if size < 12 or len(begin) < 14 + size:
        raise ImageReadError("is damaged (its header is cut off): copy or export it again")
    header = begin[14 : 14 + size].ljust(124, b"\0")
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HhHH", header, 4)
        method = _RAW
    else:
        width, height, _, bits, method = struct.unpack_from("<iiHHI", header, 4)
        if size not in _WINDOWS and method in (3, 4):
            method += 100
    _check_kind(width, height, bits, method)
    masks = _PLAIN_MASKS.get(bits, (0, 0, 0, 0))
    behind = 14 + size
    if method in (_BITFIELDS, _ALPHA_BITFIELDS):
        count = 4 if method == _ALPHA_BITFIELDS or size >= 56 else 3
        found = struct.unpack_from(f"<{count}I", begin.ljust(HEADER_BYTES, b"\0"), 54)
        behind += 4 * count if size == 40 else 0
        _check_masks(found, bits)
        if any(found[:3]):
            masks = cast("tuple[int, int, int, int]", (*found, 0)[:4])
    entry_bytes = 3 if size == 12 else 4
    stated = struct.unpack_from("<I", header, 32)[0]
    return Bmp(
        size_hw=(abs(height), width),
        bits=bits,
        method=method,
        is_top_down=height < 0,
        masks=masks,
        samples_at=samples_at,
        palette_at=behind,
        palette_entries=_entries(stated, bits, samples_at - behind, entry_bytes),
        entry_bytes=entry_bytes,
        dpi=_dpi(header) if size >= 40 else None,
        colours=_calibrated(begin) if size >= 108 else None,
        profile_at=_profile(begin) if size == 124 else (0, 0),
    )


def bmp_image(data: bytes, bmp: Bmp) -> tuple[Image.Image, list[str]]:
    """Decode a file.

    Returns:
        An image of mode L, RGB or RGBA, and notes.

    Raises:
        ImageReadError: samples are missing.
    """
    if bmp.method in _RUNS:
        samples, drawn = read_runs(data[bmp.samples_at :], bmp.size_hw, bmp.bits)
    else:
        samples, drawn = _samples(data, bmp), None
    if not bmp.is_top_down:
        samples, drawn = samples[::-1], None if drawn is None else drawn[::-1]
    if bmp.bits <= 8:
        samples = _palette(data, bmp)[samples]
    if drawn is None:
        return Image.fromarray(np.ascontiguousarray(samples)), bmp.notes
    image = Image.fromarray(np.ascontiguousarray(samples)).convert("RGB")
    image.putalpha(Image.fromarray(np.ascontiguousarray(drawn)))
    return image, [*bmp.notes, SKIPPED_NOTE]


def _samples(data: bytes, bmp: Bmp) -> NDArray[np.uint8]:
    """Read indices (H, W) or colours and alpha (H, W, C), rows in file order."""
    height, width = bmp.size_hw
    stride = (width * bmp.bits + 31) // 32 * 4
    if len(data) < bmp.samples_at + stride * height:
        raise ImageReadError("is damaged (its samples end early): copy or export it again")
    rows = np.frombuffer(data, np.uint8, stride * height, bmp.samples_at).reshape(height, stride)
    if bmp.bits <= 8:
        shifts = np.arange(8 - bmp.bits, -1, -bmp.bits, dtype=np.uint8)
        indices = rows[..., None] >> shifts & np.uint8((1 << bmp.bits) - 1)
        return cast("NDArray[np.uint8]", indices.reshape(height, -1)[:, :width])
    size = bmp.bits // 8
    single = rows[:, : width * size].reshape(height, width, size)
    masks = bmp.masks if bmp.masks[3] else bmp.masks[:3]
    if all(mask in (0xFF, 0xFF00, 0xFF0000, 0xFF000000) for mask in masks):
        return single[..., [mask.bit_length() // 8 - 1 for mask in masks]]
    pixels = np.zeros((height, width), np.uint32)
    for at in range(size):
        pixels |= single[..., at].astype(np.uint32) << 8 * at
    return np.stack([_stretched(pixels, mask) for mask in masks], axis=2)


def _palette(data: bytes, bmp: Bmp) -> NDArray[np.uint8]:
    """Read the palette: (256,) if all entries are grey, else (256, 3); missing ones are black."""
    length = bmp.palette_entries * bmp.entry_bytes
    content = data[bmp.palette_at : bmp.palette_at + length]
    if len(content) < length:
        raise ImageReadError("is damaged (its palette is cut off): copy or export it again")
    palette = np.zeros((256, 3), np.uint8)
    entries = np.frombuffer(content, np.uint8).reshape(-1, bmp.entry_bytes)[:, 2::-1]
    palette[: len(entries)] = entries
    return palette[:, 0] if (palette == palette[:, :1]).all() else palette


def _entries(stated: int, bits: int, room: int, entry_bytes: int) -> int:
    """Count palette entries: some programs state too many or omit the last ones."""
    if bits > 8:
        return 0
    count = min(stated or 1 << bits, 1 << bits)
    return min(count, room // entry_bytes) if room > 0 else count


def _dpi(header: bytes) -> tuple[float, float] | None:
    per_metre = struct.unpack_from("<ii", header, 24)
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


def _check_kind(width: int, height: int, bits: int, method: int) -> None:
    if method in _UNREAD:
        raise _unsupported(_UNREAD[method])
    if width < 1 or not height:
        raise ImageReadError("is damaged (it has no pixels): copy or export it again")
    if method == _RAW and bits in (1, 2, 4, 8, 16, 24, 32):
        return
    if method in (_BITFIELDS, _ALPHA_BITFIELDS) and bits in (16, 24, 32):
        return
    if _RUNS.get(method) != bits:
        raise _unsupported(f"{bits} bits per pixel and compression {method % 100}")


def _check_masks(masks: tuple[int, ...], bits: int) -> None:
    together = 0
    for mask in masks:
        run = mask // (mask & -mask) if mask else 0
        if mask >> bits or run & (run + 1) or together & mask:
            raise _unsupported("bit fields that overlap or have gaps")
        together |= mask


def _stretched(pixels: NDArray[np.uint32], mask: int) -> NDArray[np.uint8]:
    """Extract the field of a mask, scaled to 0 to 255; zero for an empty mask."""
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    low = mask & -mask
    full = mask // low
    values = (pixels.astype(np.uint64) & mask) // low
    # To the nearest: 255 of all it can be.
    return ((values * 510 + full) // (2 * full)).astype(np.uint8)
