"""Draws a bar chart of layers with Pillow, which avoids a plotting dependency."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

ROW_PX = 16
NAME_PX = 230
BARS_PX = 520
VALUE_PX = 70
MARGIN_PX = 12
HEADER_PX = 26

INK = (32, 36, 44)
RULE = (222, 226, 232)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of the chart."""

    name: str
    """Label at the left."""

    value: float
    """Length, and label at the right; infinite values have no bar."""

    colour: tuple[int, int, int]
    """RGB."""


def bar_chart(title: str, bars: Sequence[Bar]) -> bytes:
    """Draw horizontal bars from zero, on a common scale.

    Args:
        title: title of the chart.
        bars: bars from top to bottom; negative values count as zero.

    Returns:
        A PNG file.
    """
    width = 2 * MARGIN_PX + NAME_PX + BARS_PX + VALUE_PX
    height = 2 * MARGIN_PX + HEADER_PX + ROW_PX * len(bars)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default()
    draw.text((MARGIN_PX, MARGIN_PX), title, fill=INK, font=font)
    largest = max((bar.value for bar in bars if math.isfinite(bar.value)), default=0.0)
    left = MARGIN_PX + NAME_PX
    for number, bar in enumerate(bars):
        top = MARGIN_PX + HEADER_PX + number * ROW_PX
        draw.line((MARGIN_PX, top + ROW_PX - 1, width - MARGIN_PX, top + ROW_PX - 1), fill=RULE)
        draw.text((MARGIN_PX, top + 1), bar.name, fill=INK, font=font)
        length = 0
        if math.isfinite(bar.value) and largest > 0:
            length = round(BARS_PX * max(bar.value, 0.0) / largest)
        draw.rectangle((left, top + 3, left + length, top + ROW_PX - 5), fill=bar.colour)
        draw.text((left + length + 6, top + 1), f"{bar.value:.3g}", fill=INK, font=font)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
