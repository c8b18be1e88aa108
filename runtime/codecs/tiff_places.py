"""Reads and writes GeoTIFF tags and physical pixel sizes."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from runtime.codecs.descriptions import is_measured
from runtime.codecs.tiff_tags import Table
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.places import GEO_TAGS, Places, Value

_DESCRIPTION, _X_DENSITY, _Y_DENSITY, _UNIT = 270, 282, 283, 296
_RPC = 50844
_ASCII, _SHORT, _RATIONAL, _DOUBLE = 2, 3, 5, 12
_NO_UNIT, _INCH = 1, 2
_MAX_BYTES = 1 << 24


def with_places(picture: Picture, table: Table, orientation: int) -> Picture:
    """Add the georeference and pixel size of its page to a picture, and notes.

    Args:
        picture: upright.
        table: tag table of its page.
        orientation: the orientation already applied.
    """
    notes = []
    geo = {tag: value for tag in GEO_TAGS if (value := _value(table, tag)) is not None}
    if geo and orientation != 1:
        geo = {}
        notes.append("dropped: the georeferencing, because the picture was rotated upright")
    if _RPC in table.entries:
        notes.append("dropped: the camera model (RPC)")
    density = _density(table)
    unit = table.integer(_UNIT, _INCH)
    description = _value(table, _DESCRIPTION)
    measured = unit == _NO_UNIT or (isinstance(description, str) and is_measured(description))
    if density and measured and not (unit == _NO_UNIT and density == (1, 1)):
        density = density[::-1] if orientation >= 5 else density
    else:
        density = None
    if not geo and not density:
        return replace(picture, notes=[*picture.notes, *notes])
    return replace(
        picture,
        places=Places(pixels_per_unit=density, unit=unit, geo=geo),
        dpi=None if density else picture.dpi,
        notes=[*picture.notes, *notes],
    )


def add_places(table: ImageFileDirectory_v2, places: Places) -> None:
    """Write a georeference and pixel size into a Pillow tag table."""
    if places.pixels_per_unit:
        table[_X_DENSITY], table[_Y_DENSITY] = (
            IFDRational(*_fraction(value)) for value in places.pixels_per_unit
        )
        table[_UNIT] = places.unit
    for tag, value in places.geo.items():
        is_text = isinstance(value, str)
        is_float = not is_text and any(isinstance(number, float) for number in value)
        table.tagtype[tag] = _ASCII if is_text else _DOUBLE if is_float else _SHORT
        table[tag] = value


def _fraction(value: float) -> tuple[int, int]:
    """Return a fraction as precise as 32 bits allow."""
    under = 10 ** max(0, min(9, 8 - math.floor(math.log10(value))))
    return round(value * under), under


def _density(table: Table) -> tuple[float, float] | None:
    values = []
    for tag in (_X_DENSITY, _Y_DENSITY):
        entry = table.entries.get(tag)
        content = _content(table, tag)
        if entry is None or entry.kind != _RATIONAL or len(content) < 8:
            return None
        over, under = struct.unpack_from(table.order + "II", content)
        if not over or not under:
            return None
        values.append(over / under)
    return values[0], values[1]


def _value(table: Table, tag: int) -> Value | None:
    entry, content = table.entries.get(tag), _content(table, tag)
    if entry is None or not content:
        return None
    if entry.kind == _ASCII:
        return content.rstrip(b"\0").decode("utf-8", "replace")
    form = {_SHORT: "H", _DOUBLE: "d"}.get(entry.kind)
    return struct.unpack(f"{table.order}{entry.count}{form}", content) if form else None


def _content(table: Table, tag: int) -> bytes:
    entry = table.entries.get(tag)
    if entry is None or entry.nbytes > _MAX_BYTES:
        return b""
    try:
        return table.content(tag)
    except ImageReadError:
        return b""  # Pillow does not read it, either
