"""Sample layout of a TIFF page, and the layouts that are refused."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.TiffImagePlugin import OPEN_INFO

from runtime.codecs.tiff_tags import Table
from runtime.errors import ImageReadError

WEBP = 50001
LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
"""Lossless compressions: none, LZW, Deflate (two numbers), PackBits, LZMA, Zstd."""

_READ = (*LOSSLESS, WEBP, 2, 3, 4, 6, 7, 32771, 32809, 34676, 34677)
_UNREAD = {
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of raw samples",
    34925: "LZMA",
    34934: "JPEG XR",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_CAMERA = (32803, 34892)
"""Photometric interpretations of raw sensor samples."""

WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
_KINDS = {WHITE_IS_ZERO: "grey", GREY: "grey", RGB: "RGB", PALETTE: "a palette", CMYK: "CMYK"}
_KINDS |= {6: "YCbCr", 8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab", 32844: "LogL", 32845: "LogLuv"}
_COLOURS = {WHITE_IS_ZERO: 1, GREY: 1, RGB: 3, CMYK: 4}
ASSOCIATED = 1
_ALPHA = (ASSOCIATED, 2, 999)
"""Kinds of extra samples that are alpha: associated, unassociated, and Corel's value for the
latter.
"""

_UNSIGNED = (1, 4)
"""Sample formats: unsigned, or not known to the writer, which TIFF 6.0 has readers treat alike."""
_FLOAT = 3
_SIGNED_OR_COMPLEX = (2, 5, 6)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sample layout of one page."""

    size_hw: tuple[int, int]
    """Height and width as stored, before the orientation is applied."""
    orientation: int
    photometric: int
    bits: tuple[int, ...]
    """Bits of each channel."""
    formats: tuple[int, ...]
    """Sample formats, of each channel or of all: 1 unsigned, 2 signed, 3 floating-point,
    4 unknown.
    """
    extra: tuple[int, ...]
    """Kinds of the channels beyond the colours."""
    compression: int
    predictor: int
    is_planar: bool
    """Whether each channel is a plane of its own."""
    fill_order: int
    order: str
    """Byte order: `<` or `>`."""

    @property
    def colours(self) -> int:
        """Number of colour channels."""
        return _COLOURS.get(self.photometric, 3)

    @property
    def alpha(self) -> int | None:
        """Index of the alpha channel."""
        kinds = (number for number, kind in enumerate(self.extra) if kind in _ALPHA)
        first = next(kinds, None)
        return None if first is None else self.colours + first

    @property
    def is_float(self) -> bool:
        """Whether all samples are floating-point numbers."""
        return set(self.formats) == {_FLOAT}

    @property
    def is_deep(self) -> bool:
        """Whether samples are read with 16 bits; CMYK becomes 8-bit RGB."""
        return max(self.bits) > 8 and self.photometric != CMYK

    @property
    def upright_hw(self) -> tuple[int, int]:
        """Height and width after the orientation is applied."""
        height, width = self.size_hw
        return (width, height) if self.orientation >= 5 else (height, width)

    @property
    def further(self) -> int:
        """Number of channels that are neither colours nor the alpha that is read."""
        return len(self.extra) - (self.alpha is not None)

    @property
    def is_ours(self) -> bool:
        """Whether `tiff_samples` reads it, since Pillow would refuse it or keep 8 bits."""
        if self.compression == WEBP:
            return True
        uniform = len(set(self.bits)) == 1 and (1 <= self.bits[0] <= 16 or self.bits[0] in (32, 64))
        if self.photometric not in _COLOURS or self.compression not in LOSSLESS or not uniform:
            return False
        return max(self.bits) > 8 or not self._pillow_knows()

    def __str__(self) -> str:
        kind = _KINDS.get(self.photometric, f"photometric interpretation {self.photometric}")
        bits = " and ".join(str(count) for count in sorted(set(self.bits)))
        channels = f"{len(self.bits)} channels" if len(self.bits) > 1 else "1 channel"
        return f"{kind}, {channels} of {bits} bits"

    def _pillow_knows(self) -> bool:
        prefix = b"II" if self.order == "<" else b"MM"
        key = (prefix, self.photometric, (1,), self.fill_order, self.bits)
        # Without a word on the fourth channel, Pillow too takes it for alpha.
        stated = self.extra if len(self.bits) != 4 or self.extra != (2,) else ()
        known = (*key, self.extra) in OPEN_INFO or (*key, stated) in OPEN_INFO
        # For a single plane, Pillow forgets that white is zero.
        return known and not (self.is_planar and (self.extra or len(self.bits) == 1))


def layout_of(table: Table) -> Layout:
    """Return the sample layout of a page.

    Raises:
        ImageReadError: they are of a kind that is not read, or nonsense.
    """
    photometric = table.integer(262, 0)
    channels = table.integer(277, 3 if photometric in (2, 6, 8) else 1)
    bits = table.integers(258, (1,))[:channels]
    bits = bits * channels if len(bits) == 1 else bits
    extra = table.integers(338)[: max(0, channels - 1)]
    colours = _COLOURS.get(photometric, channels - len(extra))
    if not extra and channels > colours:
        extra = (2,) * (photometric == RGB and channels == 4) or (0,) * (channels - colours)
    orientation = table.integer(274, 1)
    layout = Layout(
        size_hw=(table.integer(257, 0), table.integer(256, 0)),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        photometric=photometric,
        bits=bits,
        formats=table.integers(339, (1,)),
        extra=extra,
        compression=table.integer(259, 1),
        predictor=table.integer(317, 1),
        is_planar=table.integer(284, 1) == 2,
        fill_order=table.integer(266, 1),
        order=table.order,
    )
    _check(layout, table, channels)
    return layout


def _check(layout: Layout, table: Table, channels: int) -> None:
    if layout.photometric in _CAMERA:
        raise ImageReadError(
            "contains raw sensor data, not a picture: develop it with a raw converter, "
            "and save it as TIFF of 16 bits"
        )
    if min(layout.size_hw) < 1 or not channels or len(layout.bits) != channels:
        raise ImageReadError("is damaged (its size is not stated): copy or export it again")
    if layout.compression not in _READ:
        name = _UNREAD.get(layout.compression, f"method {layout.compression}")
        raise ImageReadError(
            f"is TIFF compressed with {name}, which is not supported: save it with LZW or Deflate"
        )
    if layout.is_float and (layout.photometric == CMYK or not layout.is_ours):
        raise ImageReadError(
            "its samples are floating-point numbers, but neither grey nor RGB of 16, 32 or 64 "
            "bits: convert it to 16 bits unsigned"
        )
    other = next((kind for kind in layout.formats if kind not in _UNSIGNED), None)
    if not layout.is_float and other is not None:
        kind = "signed or complex numbers" if other in _SIGNED_OR_COMPLEX else f"of format {other}"
        raise ImageReadError(
            f"its samples are {kind}, whose black and white levels are unknown: "
            "convert it to 8 or 16 bits unsigned"
        )
    if not layout.is_float and max(layout.bits) > 16:
        raise ImageReadError(
            f"its samples have {max(layout.bits)} bits, not 8 or 16 bits unsigned, so their black "
            "and white are not stated: convert it to 8 or 16 bits unsigned"
        )
    depth = max(layout.bits)
    if layout.photometric == PALETTE and depth <= 8 and len(table.integers(320)) < 3 << depth:
        raise ImageReadError("is damaged (its palette is too short): export it again")
    if layout.is_ours and layout.predictor != 1 and max(layout.bits) not in (8, 16, 32, 64):
        raise ImageReadError(
            f"its samples of {max(layout.bits)} bits are stored as differences, which is not "
            "supported: save it without a predictor"
        )
    if layout.is_ours and table.integer(332, 1) != 1:
        raise ImageReadError("its inks are not those of CMYK: convert it to RGB")
    if layout.is_ours and channels < layout.colours:
        raise ImageReadError(f"is damaged (it has {channels} channels only): export it again")
