"""Georeferences and physical pixel sizes, as TIFF stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Value: TypeAlias = tuple[int, ...] | tuple[float, ...] | str

PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, GEO_KEYS = 33550, 33922, 34264, 34735
GEO_TAGS = (PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, GEO_KEYS, 34736, 34737, 42112, 42113)
"""Tags of GeoTIFF 1.1, and GDAL's metadata and no-data value."""

_RASTER_TYPE_KEY, _PIXEL_IS_POINT = 1025, 2


@dataclass(frozen=True, kw_only=True)
class Places:
    """Georeference and pixel size from a TIFF, stated per pixel."""

    pixels_per_unit: tuple[float, float] | None = None
    """Horizontal and vertical resolution, in `unit` or in one named elsewhere, if at all."""
    unit: int = 1
    """TIFF's resolution unit: 1 for none, 2 for inches, 3 for centimetres."""
    geo: Mapping[int, Value] = field(default_factory=dict)
    """GeoTIFF tags by number."""

    def scaled(self, factor_xy: tuple[float, float]) -> Places:
        """Return the same georeference for a picture scaled by these factors."""
        density, geo = self.pixels_per_unit, dict(self.geo)
        if density:
            density = density[0] * factor_xy[0], density[1] * factor_xy[1]
        for tag, scale in _SCALES.items():
            if tag in geo:
                geo[tag] = scale(_numbers(geo[tag]), factor_xy, self._shift)
        return replace(self, pixels_per_unit=density, geo=geo)

    @property
    def _shift(self) -> float:
        """Return the offset of a pixel's reference point from its upper left corner."""
        keys = _numbers(self.geo.get(GEO_KEYS, ()))
        entries = [keys[at : at + 4] for at in range(4, len(keys), 4)]
        is_point = any(
            len(entry) == 4 and (entry[0], entry[3]) == (_RASTER_TYPE_KEY, _PIXEL_IS_POINT)
            for entry in entries
        )
        return 0.5 if is_point else 0.0


def _numbers(value: Value) -> tuple[float, ...]:
    return () if isinstance(value, str) else tuple(float(number) for number in value)


def _scaled_size(
    values: tuple[float, ...], factor_xy: tuple[float, float], _: float
) -> tuple[float, ...]:
    return (values[0] / factor_xy[0], values[1] / factor_xy[1], *values[2:])


def _scaled_points(
    values: tuple[float, ...], factor_xy: tuple[float, float], shift: float
) -> tuple[float, ...]:
    """Scale tie points: six numbers each, a pixel's column, row and height, and its location."""
    result = list(values)
    for at in range(0, len(values) - 5, 6):
        for axis, factor in enumerate(factor_xy):
            result[at + axis] = (values[at + axis] + shift) * factor - shift
    return tuple(result)


def _scaled_matrix(
    values: tuple[float, ...], factor_xy: tuple[float, float], shift: float
) -> tuple[float, ...]:
    """Scale the 4 x 4 matrix, row by row, from columns and rows to locations."""
    result = list(values)
    for row in range(0, len(values) - 3, 4):
        for axis, factor in enumerate(factor_xy):
            result[row + axis] = values[row + axis] / factor
            result[row + 3] += values[row + axis] * (shift / factor - shift)
    return tuple(result)


_SCALES = {
    PIXEL_SCALE: _scaled_size,
    TIE_POINTS: _scaled_points,
    TRANSFORMATION: _scaled_matrix,
}
