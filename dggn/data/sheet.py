"""A canvas for graphics: flat background, text in several fonts and scripts, smooth curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

ENGLISH = "eeeeeetttaaaoooiiinnnsssrrrhhldcumfpgwybvkxjqzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""Letters for random words, repeated by frequency."""

SCRIPTS = (
    ENGLISH,
    ENGLISH + "".join(map(chr, range(0xC0, 0x100))),  # with the accents of Western Europe
    "".join(map(chr, range(0x3B1, 0x3CA))),  # Greek
    "".join(map(chr, range(0x410, 0x450))),  # Cyrillic
)
SCRIPT_SHARES = (0.6, 0.2, 0.1, 0.1)

MARKS = (".", ",", ":", ";", "!", "?", ")", "%", "/", "-", "()", "@", "#", "&", "+", "=")

FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSerif-Italic.ttf",
)
"""Fonts included in Matplotlib; Pillow's own is the ninth, with English only."""

SMOOTH = 4
"""Supersampling factor of curves, since Pillow's own are not antialiased."""


@dataclass(frozen=True, kw_only=True)
class Typeface:
    """A font and the letters to set in it."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    """Font at its size."""

    letters: str
    """Letters of its script."""


class Sheet:
    """A picture to draw on; lengths are in screen pixels, before `scale`.

    Args:
        height: height in pixels of the picture.
        width: width in pixels of the picture.
        random: random number generator.
        scale: pixels of the picture in a pixel of the screen.
    """

    def __init__(self, height: int, width: int, random: np.random.Generator, scale: int) -> None:
        self.random = random
        self.height, self.width = -(-height // scale), -(-width // scale)
        self.is_dark = random.random() < 0.3
        self.paper = self._tone(self.is_dark)
        self.ink = self._tone(not self.is_dark)
        self.image = Image.new("RGB", (width, height), self.paper)
        self._scale = scale
        self._draw = ImageDraw.Draw(self.image)

    def number(self, low: int, high: int) -> int:
        """Draw an integer, both ends included."""
        return int(self.random.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return bool(self.random.random() < share)

    def colour(self) -> Colour:
        """Draw a colour."""
        red, green, blue = self.random.integers(256, size=3)
        return int(red), int(green), int(blue)

    def typeface(self, size_px: int) -> Typeface:
        """Draw a font and script."""
        number, script = (
            self.number(0, len(FONTS)),
            self.random.choice(len(SCRIPTS), p=SCRIPT_SHARES),
        )
        letters = ENGLISH if number == len(FONTS) else SCRIPTS[int(script)]
        return Typeface(font=load_font(number, size_px * self._scale), letters=letters)

    def words(self, most_letters: int, face: Typeface) -> str:
        """Draw a line of words."""
        words: list[str] = []
        while sum(map(len, words)) + len(words) < most_letters:
            letters = self.random.choice(list(face.letters), size=self.number(1, 9))
            mark = MARKS[self.number(0, len(MARKS) - 1)] if self.chance(0.2) else ""
            words.append("".join(letters) + mark)
        return " ".join(words)[:most_letters]

    def text(self, x: int, y: int, text: str, face: Typeface, colour: Colour) -> None:
        """Write text from an upper left corner."""
        self._draw.text((x * self._scale, y * self._scale), text, colour, face.font)

    def box(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        fill: Colour | None,
        edge: Colour | None = None,
        radius: int = 0,
    ) -> None:
        """Draw a rectangle with an edge of one screen pixel."""
        if width < 1 or height < 1:
            return
        scale = self._scale
        corners = (x * scale, y * scale, (x + width) * scale - 1, (y + height) * scale - 1)
        thick = scale if edge else 0
        self._draw.rounded_rectangle(corners, radius * scale, fill, edge, thick)

    def smooth(self, draw: Callable[[ImageDraw.ImageDraw, float], None]) -> None:
        """Draw with antialiasing.

        Args:
            draw: draws on a canvas, given its pixels in a pixel of the screen.
        """
        large = self.image.resize(
            (self.image.width * SMOOTH, self.image.height * SMOOTH), Image.Resampling.NEAREST
        )
        draw(ImageDraw.Draw(large), self._scale * SMOOTH)
        self.image.paste(large.reduce(SMOOTH))

    def _tone(self, is_dark: bool) -> Colour:
        if self.random.random() < 0.5:
            return (0, 0, 0) if is_dark else (255, 255, 255)
        red, green, blue = self.random.integers(0, 70, size=3)
        tone = int(red), int(green), int(blue)
        return tone if is_dark else (255 - tone[0], 255 - tone[1], 255 - tone[2])


def load_font(number: int, size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return one of `FONTS`, or Pillow's own after the last."""
    if number == len(FONTS):
        return ImageFont.load_default(size_px)
    path = files("matplotlib").joinpath("mpl-data", "fonts", "ttf", FONTS[number])
    return ImageFont.truetype(str(path), size_px)


def blend_colours(one: Colour, other: Colour, share: float) -> Colour:
    """Blend two colours, with this share of the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
