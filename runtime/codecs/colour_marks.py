"""Reads colours that files state without a profile: PNG chunks, AVIF and HEIC boxes, EXIF."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from PIL import Image
from PIL.ExifTags import IFD, Base

from runtime.codecs.boxes import boxes_in, file_boxes
from runtime.codecs.png_chunks import Chunks
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.stated_colours import (
    ADOBE_RGB,
    SRGB,
    Chromaticities,
    StatedColours,
    colours_of_cicp,
)

_ADOBE_INTEROP, _ADOBE_COLOUR_SPACE = "R03", 2


def colours_of_png(chunks: Chunks) -> StatedColours | None:
    """Return the colours that a PNG's chunks state.

    Raises:
        ImageReadError: its colours cannot be read.
    """
    if chunks.of(b"cICP"):
        primaries, transfer, _, is_full = chunks.of(b"cICP")[0]
        if not is_full:
            raise ImageReadError(
                "its samples have video range (by cICP), which is not supported: convert it to sRGB"
            )
        return colours_of_cicp(primaries, transfer, by="cICP", overrides_profile=True)
    if chunks.of(b"sRGB"):
        return SRGB
    gamma, points = chunks.of(b"gAMA"), chunks.of(b"cHRM")
    value = struct.unpack(">I", gamma[0])[0] / 100_000 if gamma else 0.0
    chromaticities = _chromaticities(points[0]) if points else None
    sane = 0.1 <= value <= 10
    names = " and ".join([*["gAMA"] * sane, *["cHRM"] * bool(chromaticities)])
    if not names:
        return None
    stated = StatedColours(by=names)
    return StatedColours(
        by=names,
        chromaticities=chromaticities or stated.chromaticities,
        curve=(1 / value,) if sane else stated.curve,
    )


def _chromaticities(content: bytes) -> Chromaticities | None:
    """Parse chromaticities; None if they are not valid colours."""
    values = tuple(value / 100_000 for value in struct.unpack(">8I", content))
    wx, wy, rx, ry, gx, gy, bx, by = values
    area = (gx - rx) * (by - ry) - (bx - rx) * (gy - ry)
    sane = all(0 <= value <= 1 for value in values) and min(wy, ry, gy, by) > 0
    return (wx, wy, rx, ry, gx, gy, bx, by) if sane and abs(area) > 1e-3 else None


def colours_of_boxes(file: IO[bytes]) -> StatedColours | None:
    """Return the colours of an AVIF or HEIC file's primary picture (ISO/IEC 23008-12, nclx).

    Raises:
        ImageReadError: its colours cannot be read.
    """
    for kind, value in _primary_properties(file):
        if kind == b"colr" and value[:4] == b"nclx" and len(value) >= 8:
            primaries, transfer = struct.unpack_from(">HH", value, 4)
            return colours_of_cicp(primaries, transfer, by="nclx")
    return None


def bits_of_boxes(file: IO[bytes]) -> int:
    """Return the bits per sample of an AVIF file's primary picture; 8 if it does not say."""
    for kind, value in _primary_properties(file):
        if kind == b"av1C" and len(value) > 2 and value[2] & 0x40:  # AV1 in ISOBMFF, 2.3.3
            return 12 if value[2] & 0x20 else 10
    return 8


def _primary_properties(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kinds and values of the primary picture's properties."""
    meta = next((content for name, content in file_boxes(file) if name == b"meta"), None)
    try:
        if meta:
            yield from _properties(meta)
    except (struct.error, IndexError, KeyError):
        return  # damage is for the decoder to tell


def _properties(meta: bytes) -> Iterator[tuple[bytes, bytes]]:
    boxes = dict(boxes_in(meta[4:]))
    pitm = boxes[b"pitm"]
    primary = int.from_bytes(pitm[4 : 8 if pitm[0] else 6], "big")
    inside = list(boxes_in(boxes[b"iprp"]))
    properties = [box for name, content in inside if name == b"ipco" for box in boxes_in(content)]
    for name, content in inside:
        for number in _associated(content, primary) if name == b"ipma" else ():
            if number:
                yield properties[number - 1]


def _associated(ipma: bytes, item: int) -> Iterator[int]:
    """Yield the property indices of an item."""
    id_bytes, is_wide = (4 if ipma[0] else 2), ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(count):
        found = int.from_bytes(ipma[at : at + id_bytes], "big")
        numbers = ipma[at + id_bytes]
        at += id_bytes + 1
        for _ in range(numbers):
            value = int.from_bytes(ipma[at : at + 1 + is_wide], "big")
            at += 1 + is_wide
            if found == item:
                yield value & (0x7FFF if is_wide else 0x7F)


def colours_of_exif(image: Image.Image) -> StatedColours | None:
    """Return Adobe RGB if EXIF states it (DCF 2.0, and a value that some programs use)."""
    try:
        block = image.getexif()
        # Asked for tables that are not there, Pillow would add empty ones.
        details = block.get_ifd(IFD.Exif) if IFD.Exif in block else {}
        interop = block.get_ifd(IFD.Interop) if IFD.Interop in details else {}
        index = interop.get(1, "")
        index = index.decode("ascii", "replace") if isinstance(index, bytes) else str(index)
        is_adobe = index.startswith(_ADOBE_INTEROP)
        is_adobe |= details.get(Base.ColorSpace) == _ADOBE_COLOUR_SPACE
    except Exception:  # noqa: BLE001 - Pillow lets every kind out of a damaged block
        return None
    return ADOBE_RGB if is_adobe else None


def with_profile_of(picture: Picture, stated: StatedColours | None) -> Picture:
    """Add an ICC profile equivalent to the colours that the file states, and a note."""
    if stated is None or (picture.icc_profile and not stated.overrides_profile):
        return picture
    if stated.is_srgb:
        return replace(picture, icc_profile=None)
    return replace(
        picture,
        icc_profile=stated.profile(is_grey=picture.is_grey),
        notes=[*picture.notes, f"an ICC profile was made of the colours that {stated.by} states"],
    )
