from __future__ import annotations

import pytest

from runtime.image.places import GEO_KEYS, PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, Places, Value

AS_POINT = (1, 1, 0, 1, 1025, 0, 1, 2)
AS_AREA = (1, 1, 0, 1, 1025, 0, 1, 1)


def test_pixels_shrink_and_densities_grow() -> None:
    places = Places(pixels_per_unit=(10.0, 20.0), unit=3, geo={PIXEL_SCALE: (8.0, 4.0, 1.0)})
    scaled = places.scaled((4, 2))
    assert scaled.pixels_per_unit == (40, 40)
    assert scaled.geo[PIXEL_SCALE] == (2, 2, 1)
    assert scaled.unit == 3
    assert places.geo[PIXEL_SCALE] == (8, 4, 1), "the source's stay"


@pytest.mark.parametrize(
    ("keys", "column"),
    # The centre of pixel 2 lies 2.5 px from the border: 10 px in four times as many, which is
    # half a pixel beyond the centre of pixel 9.
    [(AS_AREA, 8.0), (AS_POINT, 9.5), ((), 8.0)],
)
def test_tie_points_of_areas_and_of_points(keys: tuple[int, ...], column: float) -> None:
    places = Places(geo={GEO_KEYS: keys, TIE_POINTS: (2.0, 0.0, 0.0, 500.0, 600.0, 0.0)})
    found = places.scaled((4, 4)).geo[TIE_POINTS]
    assert found[0] == column
    assert found[3:] == (500, 600, 0)


@pytest.mark.parametrize("keys", [AS_AREA, AS_POINT])
def test_a_matrix_leads_to_the_same_ground(keys: tuple[int, ...]) -> None:
    matrix = (2.0, 0.5, 0.0, 100.0, 0.25, -3.0, 0.0, 200.0, *(0.0,) * 8)
    places = Places(geo={GEO_KEYS: keys, TRANSFORMATION: matrix})
    scaled = places.scaled((4, 2)).geo[TRANSFORMATION]
    shift = 0.5 if keys is AS_POINT else 0.0
    # A point of the raster, counted from the upper left corner, before and after.
    x, y = 7.0, 9.0
    for row in (0, 1):
        before = (
            matrix[4 * row] * (x - shift) + matrix[4 * row + 1] * (y - shift) + matrix[4 * row + 3]
        )
        one, other, _, constant = (float(value) for value in scaled[4 * row : 4 * row + 4])
        assert one * (4 * x - shift) + other * (2 * y - shift) + constant == pytest.approx(before)


def test_text_and_short_values_do_no_harm() -> None:
    geo: dict[int, Value] = {TIE_POINTS: (1.0, 2.0), 42112: "<GDALMetadata/>"}
    assert Places(geo=geo).scaled((4, 4)).geo == geo
