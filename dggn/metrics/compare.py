"""Side-by-side crops of several systems' results: the paper's Figure 4."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dggn.data.pairs import read_pair
from dggn.data.prepared import HR_FOLDER, LR_FOLDER
from dggn.metrics.evaluate import (
    PathPair,
    SuperResolve,
    path_pairs,
    super_resolve_and_measure,
)
from dggn.metrics.systems import BICUBIC, open_system, system_name
from runtime.errors import ConfigError
from runtime.system.files import write_whole

DEFAULT_CROP_PX = 64
CELL_PX = 192
GAP_PX = 8
CAPTION_PX = 34
FONT_PX = 14
LINES = 2
"""Rows of crops beside each picture."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A rectangle of an HR picture."""

    x: int
    """Left edge."""

    y: int
    """Upper edge."""

    width: int
    """In HR pixels."""

    height: int
    """In HR pixels."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The rectangle as Pillow expects it."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def of(self, image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the pixels inside."""
        return image_hwc[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One crop with its caption."""

    name: str
    """Name of the system."""

    scores: str
    """Scores of the whole picture."""

    crop_hwc: NDArray[np.uint8]
    """(H, W, 3), uint8 RGB."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One picture and its crops."""

    picture_hwc: NDArray[np.uint8]
    """The HR picture, (H, W, 3), uint8 RGB."""

    crop: Crop
    """Position of the crops."""

    cells: tuple[Cell, ...]
    """HR first, then the systems."""


def comparison_rows(
    models: Sequence[str], paths: Sequence[Path], crops: Sequence[str]
) -> list[Row]:
    """Run every model on every picture.

    Args:
        models: names as for `opened`; bicubic is added first if missing.
        paths: HR pictures; in a folder `HR` beside a folder `LR_x4` that LR picture is used,
            elsewhere it is made.
        crops: `X,Y,W,H` in HR pixels, one for each picture; none for the middles.

    Raises:
        ConfigError: the crops are invalid.
        DggnError: a model or picture is unusable.
    """
    if crops and len(crops) != len(paths):
        raise ConfigError(f"{len(crops)} crops for {len(paths)} pictures: give one for each")
    names = [*([] if BICUBIC in models else [BICUBIC]), *models]
    with ExitStack() as stack:
        systems = {name: stack.enter_context(open_system(name)) for name in names}
        return [
            _row(_pair_of(path), crops[number] if crops else None, systems)
            for number, path in enumerate(paths)
        ]


def parse_crop(text: str, height: int, width: int) -> Crop:
    """Parse `X,Y,W,H` to a crop inside a picture.

    Raises:
        ConfigError: it is malformed, or lies outside.
    """
    numbers = text.split(",")
    if len(numbers) != 4 or not all(one.isascii() and one.isdigit() for one in numbers):
        raise ConfigError(f"--crop is {text!r}: expected X,Y,W,H, for example 40,60,64,64")
    x, y, crop_width, crop_height = map(int, numbers)
    if not (0 < crop_width <= width - x and 0 < crop_height <= height - y):
        raise ConfigError(f"--crop {text} does not lie inside the picture, {width}x{height} px")
    return Crop(x=x, y=y, width=crop_width, height=crop_height)


def draw_comparison(rows: Sequence[Row]) -> Image.Image:
    """Draw the figure: for each picture, the whole with the crop marked, then the crops.

    Crops are enlarged by whole factors without interpolation: what is seen are the pixels.
    """
    drawn = [_draw_row(row) for row in rows]
    size = (max(one.width for one in drawn), sum(one.height for one in drawn))
    figure = Image.new("RGB", size, "white")
    y = 0
    for one in drawn:
        figure.paste(one, (0, y))
        y += one.height
    return figure


def save_png(path: Path, figure: Image.Image) -> None:
    """Write the figure atomically.

    Raises:
        ConfigError: the name does not end in .png.
        TargetError: it cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{path} does not end in .png: name a file that does")
    with io.BytesIO() as file:
        figure.save(file, "PNG")
        write_whole(path, file.getvalue())


def _pair_of(path: Path) -> PathPair:
    lr_folder = path.parent.parent / LR_FOLDER
    if path.parent.name == HR_FOLDER and lr_folder.is_dir():
        for pair in path_pairs(path.parent, lr_folder):
            if pair.hr == path:
                return pair
    return PathPair(hr=path, lr=None)


def _row(paths: PathPair, crop_text: str | None, systems: dict[str, SuperResolve]) -> Row:
    pair = read_pair(paths.hr, paths.lr)
    height, width = pair.hr_hwc.shape[:2]
    if crop_text is None:
        side = min(DEFAULT_CROP_PX, height, width)
        crop = Crop(x=(width - side) // 2, y=(height - side) // 2, width=side, height=side)
    else:
        crop = parse_crop(crop_text, height, width)
    cells = [Cell(name="HR", scores="PSNR / SSIM", crop_hwc=crop.of(pair.hr_hwc))]
    for name, super_resolve in systems.items():
        sr, measured = super_resolve_and_measure(super_resolve, pair, paths.hr)
        scores = measured.scores
        cells.append(
            Cell(
                name=system_name(name),
                scores=f"{scores['psnr_db']:.2f} dB / {scores['ssim']:.4f}",
                crop_hwc=crop.of(sr),
            )
        )
    return Row(picture_hwc=pair.hr_hwc, crop=crop, cells=tuple(cells))


def _draw_row(row: Row) -> Image.Image:
    factor = max(1, CELL_PX // max(row.crop.width, row.crop.height))
    width, height = row.crop.width * factor, row.crop.height * factor
    columns = -(-len(row.cells) // LINES)
    lines = -(-len(row.cells) // columns)
    cell_width = max(width, CELL_PX * 3 // 4) + GAP_PX
    cell_height = height + CAPTION_PX + GAP_PX
    whole = _marked(row, lines * cell_height - GAP_PX)
    size = (whole.width + 2 * GAP_PX + columns * cell_width, lines * cell_height + GAP_PX)
    canvas = Image.new("RGB", size, "white")
    canvas.paste(whole, (GAP_PX, GAP_PX))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(FONT_PX)
    for number, cell in enumerate(row.cells):
        line, column = divmod(number, columns)
        x = whole.width + 2 * GAP_PX + column * cell_width
        y = GAP_PX + line * cell_height
        crop = Image.fromarray(np.ascontiguousarray(cell.crop_hwc))
        canvas.paste(crop.resize((width, height), Image.Resampling.NEAREST), (x, y))
        middle = x + width // 2
        for text, below in ((cell.name, 2), (cell.scores, 2 + FONT_PX + 1)):
            draw.text((middle, y + height + below), text, "black", font, anchor="mt")
    return canvas


def _marked(row: Row, height: int) -> Image.Image:
    """Return the whole picture, scaled to a height, with the crop's outline."""
    picture = Image.fromarray(np.ascontiguousarray(row.picture_hwc))
    scale = height / picture.height
    size = (max(1, round(picture.width * scale)), height)
    whole = picture.resize(size, Image.Resampling.LANCZOS)
    outline = tuple(round(edge * scale) for edge in row.crop.box)
    ImageDraw.Draw(whole).rectangle(outline, outline="red", width=2)
    return whole
