"""Draws random screenshots, text, line art and flat graphics.

Nothing here comes from a photograph, and a model that has seen photographs alone breaks it:
thin strokes double, letters melt, flat areas get texture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dggn.data.sheet import Colour, Sheet, Typeface, blend_colours
from dggn.model.config import SCALE
from runtime.system.package import require


def draw_graphic(
    height: int, width: int, random: np.random.Generator, *, scale: int = SCALE
) -> NDArray[np.uint8]:
    """Draw a page of text, a window, line art, flat shapes or a chart.

    Args:
        height: height of the picture.
        width: width of the picture.
        random: random number generator.
        scale: size of everything drawn: 1 for the letters and lines of a screen, as they
            are; 4 for an HR picture that shows these when it is reduced.

    Returns:
        (height, width, 3), uint8 RGB.

    Raises:
        MissingDependency: matplotlib, which brings the fonts, is not installed.
    """
    require("matplotlib", extra="train")
    kinds: tuple[Callable[[Sheet], None], ...] = (_page, _window, _line_art, _shapes, _chart)
    sheet = Sheet(height, width, random, scale)
    kinds[int(random.integers(len(kinds)))](sheet)
    return np.array(sheet.image)


def _page(sheet: Sheet) -> None:
    columns = sheet.number(1, 3)
    column_px = sheet.width // columns
    for column in range(columns):
        x, y = column * column_px + sheet.number(2, 8), sheet.number(0, 8)
        while y < sheet.height:
            is_heading = sheet.chance(0.15)
            size = sheet.number(16, 40) if is_heading else sheet.number(7, 16)
            colour = sheet.colour() if sheet.chance(0.15) else sheet.ink
            face, step = sheet.typeface(size), round(size * sheet.random.uniform(1.15, 1.6))
            for _ in range(1 if is_heading else sheet.number(1, 8)):
                _line_of_text(sheet, x, y, column_px - 10, size, face, colour)
                y += step
            y += sheet.number(2, 12)


def _line_of_text(
    sheet: Sheet, x: int, y: int, room_px: int, size_px: int, face: Typeface, colour: Colour
) -> None:
    letters = max(1, round(room_px / (0.6 * size_px) * sheet.random.uniform(0.6, 1)))
    if sheet.chance(0.05):
        sheet.box(x - 1, y, room_px, size_px + 3, sheet.colour())
    sheet.text(x, y, sheet.words(letters, face), face, colour)


def _window(sheet: Sheet) -> None:
    bar, side = sheet.number(16, 32), sheet.number(0, sheet.width // 3)
    accent, edge = sheet.colour(), blend_colours(sheet.paper, sheet.ink, 0.2)
    sheet.box(0, 0, sheet.width, bar, accent if sheet.chance(0.4) else edge)
    sheet.box(0, bar, side, sheet.height, blend_colours(sheet.paper, sheet.ink, 0.06))
    size = sheet.number(8, 14)
    face = sheet.typeface(size)
    sheet.text(6, (bar - size) // 2, sheet.words(14, face), face, sheet.ink)
    for number in range(3):
        sheet.box(sheet.width - 14 * (number + 1), bar // 2 - 4, 9, 9, sheet.colour(), None, 4)
    for y in range(bar + 6, sheet.height, size + sheet.number(4, 12)):
        if side > 20:
            sheet.box(4, y, size, size, sheet.colour() if sheet.chance(0.5) else None, edge, 2)
            sheet.text(size + 8, y, sheet.words(max(1, side // size), face), face, sheet.ink)
    x, y, row = side + 6, bar + 6, size + sheet.number(8, 16)
    while y < sheet.height:
        _controls(sheet, x, y, row, size, face, accent, edge)
        y += row + sheet.number(0, 6)


def _controls(
    sheet: Sheet, x: int, y: int, row: int, size: int, face: Typeface, accent: Colour, edge: Colour
) -> None:
    """Draw a row of a window: a table's cells, or buttons and fields."""
    cell, radius = sheet.number(24, 110), sheet.number(0, 6)
    is_table, is_striped = sheet.chance(0.4), sheet.chance(0.5)
    while x < sheet.width:
        if is_table:
            fill = blend_colours(sheet.paper, sheet.ink, 0.05) if is_striped else None
            sheet.box(x, y, cell, row, fill, edge)
        else:
            sheet.box(x, y, cell - 6, row - 2, accent if sheet.chance(0.3) else None, edge, radius)
        sheet.text(x + 4, y + (row - size) // 2, sheet.words(cell // size, face), face, sheet.ink)
        x += cell


def _line_art(sheet: Sheet) -> None:
    strokes = sheet.number(5, 40)

    def draw(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        for _ in range(strokes):
            colour = sheet.colour() if sheet.chance(0.1) else sheet.ink
            thick = max(1, round(sheet.random.uniform(0.6, 3) * scale))
            curve = _curve(sheet) if sheet.chance(0.7) else _hatching(sheet)
            for points in curve:
                canvas.line([(x * scale, y * scale) for x, y in points], colour, thick, "curve")

    sheet.smooth(draw)


def _curve(sheet: Sheet) -> list[list[tuple[float, float]]]:
    """Return a cubic Bézier curve, or a polygon's outline."""
    corners = sheet.random.uniform(-0.1, 1.1, size=(4, 2)) * (sheet.width, sheet.height)
    if sheet.chance(0.3):
        return [[(float(x), float(y)) for x, y in (*corners, corners[0])]]
    t = np.linspace(0, 1, 60)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return [[(float(x), float(y)) for x, y in weights @ corners]]


def _hatching(sheet: Sheet) -> list[list[tuple[float, float]]]:
    """Return parallel strokes."""
    angle, gap = sheet.random.uniform(0, math.pi), sheet.random.uniform(2.5, 8)
    length = sheet.random.uniform(5, 40)
    x, y = sheet.random.uniform(size=2) * (sheet.width, sheet.height)
    dx, dy = math.cos(angle), math.sin(angle)
    starts = [(x - dy * gap * n, y + dx * gap * n) for n in range(sheet.number(3, 15))]
    return [[(a, b), (a + dx * length, b + dy * length)] for a, b in starts]


def _shapes(sheet: Sheet) -> None:
    if sheet.chance(0.3):
        _gradient(sheet)

    def draw(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        for _ in range(sheet.number(3, 14)):
            _shape(sheet, canvas, scale)

    sheet.smooth(draw)
    for _ in range(sheet.number(0, 3)):
        face = sheet.typeface(sheet.number(12, 60))
        x, y = sheet.number(-5, sheet.width // 2), sheet.number(-5, sheet.height)
        sheet.text(x, y, sheet.words(sheet.number(2, 12), face), face, sheet.colour())


def _shape(sheet: Sheet, canvas: ImageDraw.ImageDraw, scale: float) -> None:
    """Draw a disc, a ring, a rounded rectangle or a polygon."""
    x, y = sheet.random.uniform(-0.1, 1, size=2) * (sheet.width, sheet.height)
    width, height = sheet.random.uniform(0.05, 0.5, size=2) * (sheet.width, sheet.height)
    box = tuple(round(edge * scale) for edge in (x, y, x + width, y + height))
    fill = sheet.colour() if sheet.chance(0.8) else None
    outline = sheet.colour() if fill is None or sheet.chance(0.3) else None
    thick = round(sheet.number(1, 5) * scale)
    kind = sheet.number(0, 2)
    if kind == 0:
        canvas.ellipse(box, fill, outline, thick)
    elif kind == 1:
        canvas.rounded_rectangle(box, sheet.number(0, 12) * scale, fill, outline, thick)
    else:
        corners = sheet.random.uniform(size=(sheet.number(3, 7), 2)) * (width, height) + (x, y)
        points = [(float(a) * scale, float(b) * scale) for a, b in corners]
        canvas.polygon(points, fill or outline)


def _gradient(sheet: Sheet) -> None:
    """Replace the background with a blend of two colours."""
    size = sheet.image.size
    ramp = Image.linear_gradient("L").rotate(90 * sheet.number(0, 3)).resize(size)
    sheet.image.paste(Image.new("RGB", size, sheet.colour()), (0, 0), ramp)


def _chart(sheet: Sheet) -> None:
    left, bottom = sheet.number(14, 30), sheet.height - sheet.number(12, 24)
    size = sheet.number(6, 11)
    face, grid = sheet.typeface(size), blend_colours(sheet.paper, sheet.ink, 0.15)
    for y in range(sheet.number(4, 12), bottom, sheet.number(10, 24)):
        sheet.box(left, y, sheet.width, 1, grid)
        sheet.text(2, y - size // 2, str(sheet.number(0, 99)), face, sheet.ink)
    step = sheet.number(10, 36)
    colours = [sheet.colour() for _ in range(sheet.number(1, 4))]
    for number, x in enumerate(range(left + 3, sheet.width, step)):
        high = sheet.number(2, max(2, bottom - 4))
        sheet.box(x, bottom - high, step * 2 // 3, high, colours[number % len(colours)])
        sheet.text(x, bottom + 2, sheet.words(max(1, step // size), face), face, sheet.ink)
    sheet.box(left, bottom, sheet.width, 1, sheet.ink)
    sheet.box(left, 0, 1, bottom, sheet.ink)

    def draw(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        for _ in range(sheet.number(0, 4)):
            x = np.linspace(left, sheet.width, sheet.number(4, 30))
            y = bottom * (0.5 + np.cumsum(sheet.random.normal(0, 0.1, len(x))))
            points = [(float(a) * scale, float(b) * scale) for a, b in zip(x, y, strict=True)]
            canvas.line(points, sheet.colour(), max(1, round(scale * sheet.number(1, 2))), "curve")

    sheet.smooth(draw)
