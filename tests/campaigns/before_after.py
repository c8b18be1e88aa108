"""Draws the picture of clean reductions: crops of two examples, bicubic beside our models.

python tests/campaigns/before_after.py docs/images/before-after.png
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import dggn

EXAMPLES = Path(__file__).parents[2] / "examples"
CROPS = (("astronaut.png", (250, 80)), ("cat.png", (330, 30)))
"""Photograph, and the top left of its crop in the enlarged picture (x, y)."""

MODELS = ("dggn-lite", "dggn")
"""The shipped models for clean reductions."""

CROP_WH = (440, 330)
MARGIN_PX = 8
LABEL_PX = 30


def main() -> None:
    """Draw and save."""
    columns = ("bicubic", *MODELS)
    width = len(columns) * (CROP_WH[0] + MARGIN_PX) + MARGIN_PX
    height = LABEL_PX + len(CROPS) * (CROP_WH[1] + MARGIN_PX)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(columns):
        left = MARGIN_PX + column * (CROP_WH[0] + MARGIN_PX)
        draw.text((left, 5), label, fill="black", font=ImageFont.load_default(18))
    with ExitStack() as stack:
        upscalers = [stack.enter_context(dggn.Upscaler(model)) for model in MODELS]
        for row, (name, (x, y)) in enumerate(CROPS):
            with Image.open(EXAMPLES / name) as opened:
                small = opened.convert("RGB")
            size = (4 * small.width, 4 * small.height)
            versions = [small.resize(size, Image.Resampling.BICUBIC)]
            versions += [upscaler(small) for upscaler in upscalers]
            for column, image in enumerate(versions):
                crop = image.crop((x, y, x + CROP_WH[0], y + CROP_WH[1]))
                left = MARGIN_PX + column * (CROP_WH[0] + MARGIN_PX)
                sheet.paste(crop, (left, LABEL_PX + row * (CROP_WH[1] + MARGIN_PX)))
    sheet.save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
