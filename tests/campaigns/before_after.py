"""Draws the pictures of the documents: crops of the examples, bicubic beside our models.

python tests/campaigns/before_after.py docs/images
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import dggn

EXAMPLES = Path(__file__).parents[2] / "examples"
MARGIN_PX = 8
LABEL_PX = 30

BICUBIC = "bicubic interpolation"
DEFAULT = "dggn-lite-photo"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A picture of the documents: a row for each crop, a column for each way to enlarge."""

    file: str
    """Name of its file."""

    columns: dict[str, tuple[str, float | None] | None]
    """By label, the model and its `denoise`, None by default; None for bicubic interpolation."""

    crops: tuple[tuple[str, tuple[int, int]], ...]
    """Example, and the top left of its crop in the enlarged picture (x, y)."""

    crop_wh: tuple[int, int]
    """Width and height of a crop."""


SHEETS = (
    Sheet(
        file="photographs.jpg",
        columns={BICUBIC: None, DEFAULT: (DEFAULT, None)},
        crops=(("rocket.jpg", (180, 150)), ("coffee.jpg", (180, 200))),
        crop_wh=(600, 400),
    ),
    Sheet(
        file="denoise.jpg",
        columns={
            "bicubic": None,
            **{f"--denoise {strength:g}": (DEFAULT, strength) for strength in (0, 0.5, 1)},
        },
        crops=(("rocket.jpg", (240, 240)), ("coffee.jpg", (400, 240))),
        crop_wh=(256, 256),
    ),
    Sheet(
        file="before-after.png",
        columns={"bicubic": None, "dggn-lite": ("dggn-lite", None), "dggn": ("dggn", None)},
        crops=(("astronaut.png", (250, 80)), ("cat.png", (330, 30))),
        crop_wh=(440, 330),
    ),
)


def draw(sheet: Sheet) -> Image.Image:
    """Enlarge the examples, and lay out their crops."""
    across, down = (length + MARGIN_PX for length in sheet.crop_wh)
    size = len(sheet.columns) * across + MARGIN_PX, LABEL_PX + len(sheet.crops) * down
    drawn = Image.new("RGB", size, "white")
    text = ImageDraw.Draw(drawn)
    for column, (label, way) in enumerate(sheet.columns.items()):
        left = MARGIN_PX + column * across
        text.text((left, 5), label, fill="black", font=ImageFont.load_default(18))
        for row, (name, (x, y)) in enumerate(sheet.crops):
            with Image.open(EXAMPLES / name) as opened:
                enlarged = enlarge(opened.convert("RGB"), way)
            crop = enlarged.crop((x, y, x + sheet.crop_wh[0], y + sheet.crop_wh[1]))
            drawn.paste(crop, (left, LABEL_PX + row * down))
    return drawn


def enlarge(image: Image.Image, way: tuple[str, float | None] | None) -> Image.Image:
    """Enlarge four times, with a model and a strength of denoising, or by interpolation."""
    if way is None:
        return image.resize((4 * image.width, 4 * image.height), Image.Resampling.BICUBIC)
    model, strength = way
    with dggn.Upscaler(model, denoise=strength) as upscaler:
        return upscaler(image)


def main() -> None:
    """Draw and save."""
    for sheet in SHEETS:
        draw(sheet).save(Path(sys.argv[1]) / sheet.file, optimize=True, quality=92)


if __name__ == "__main__":
    main()
