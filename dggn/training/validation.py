"""Validates a generator: PSNR, SSIM and a sample sheet."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dggn.data.bicubic import bicubic_resize
from dggn.data.degrade import degrade_photo
from dggn.data.pairs import Pair
from dggn.metrics.fidelity import BORDER_PX, peak_signal_noise_ratio, structural_similarity
from dggn.model.config import SCALE
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from runtime.errors import ConfigError
from runtime.system.files import write_whole

SAMPLES_FOLDER = "samples"
SAMPLE_PX = 192
"""Side of the part of each picture on the sheet."""

COLUMNS = ("LR, bicubic", "SR", "HR")
"""Column titles of the sheet."""

HEADER_PX = 24
"""Height of the header with the titles."""

FONT_PX = 14

DOMAIN = 0x7661
"""Seed component that keeps the degradation's random numbers independent of the crops'."""

SMALLEST_PX = 2 * BORDER_PX + 11
"""Minimum side, so that SSIM's window fits inside the border."""


def check_pictures(pairs: Sequence[Pair]) -> None:
    """Refuse pictures that cannot be measured, before training begins.

    Raises:
        ConfigError: a picture is too small.
    """
    for pair in pairs:
        height, width = pair.hr_hwc.shape[:2]
        if min(height, width) < SMALLEST_PX:
            raise ConfigError(
                f"validation picture {pair.name} is {width}x{height}: too small for SSIM inside "
                f"a border of {BORDER_PX} px, which needs {SMALLEST_PX} px; remove it"
            )


def degraded_as_trained(pairs: Sequence[Pair], degradation: str) -> list[Pair]:
    """Return the validation pictures with LR pictures degraded as in training.

    Args:
        pairs: the pictures, reduced by antialiased bicubic.
        degradation: degradation of the run; with `photo`, each picture is degraded once, the same
            in every run: its random numbers depend on its place among the pictures alone.
    """
    if degradation == "bicubic":
        return list(pairs)
    return [
        Pair(
            name=pair.name,
            lr_hwc=degrade_photo(pair.hr_hwc, np.random.default_rng((DOMAIN, number))),
            hr_hwc=pair.hr_hwc,
        )
        for number, pair in enumerate(pairs)
    ]


def validate(
    generator: Generator, pairs: Sequence[Pair], sheet: Path, samples: int
) -> dict[str, float]:
    """Measure mean PSNR and SSIM on Y, border 4, of whole pictures.

    Args:
        generator: the network, in evaluation mode.
        pairs: the pictures, at least one.
        sheet: PNG file to write: below the names of the columns a row for each of the first
            pictures, its middle in LR enlarged by bicubic interpolation, SR, and HR.
        samples: rows of the sheet; 0 writes none.

    Raises:
        TargetError: the sheet cannot be written.
    """
    psnr_db, ssim, rows = [], [], []
    for number, pair in enumerate(pairs):
        with _without_search():
            sr = super_resolve(generator, pair.lr_hwc)
        psnr_db.append(peak_signal_noise_ratio(sr, pair.hr_hwc))
        ssim.append(structural_similarity(sr, pair.hr_hwc))
        if number < samples:
            enlarged = bicubic_resize(pair.lr_hwc, Fraction(SCALE))
            rows.append(np.hstack([_middle(one) for one in (enlarged, sr, pair.hr_hwc)]))
    if rows:
        content = io.BytesIO()
        Image.fromarray(np.vstack([_header(), *rows])).save(content, "PNG")
        write_whole(sheet, content.getvalue())
    return {"psnr_db": float(np.mean(psnr_db)), "ssim": float(np.mean(ssim))}


@contextmanager
def _without_search() -> Iterator[None]:
    """Use cuDNN's default convolutions instead of searching for the fastest.

    Crops have one size and are worth the search; pictures have many, and are rare.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _middle(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop the centre of a picture, (SAMPLE_PX, SAMPLE_PX, 3); smaller ones on black."""
    height, width = image_hwc.shape[:2]
    top, left = max(0, (height - SAMPLE_PX) // 2), max(0, (width - SAMPLE_PX) // 2)
    window = image_hwc[top : top + SAMPLE_PX, left : left + SAMPLE_PX]
    canvas = np.zeros((SAMPLE_PX, SAMPLE_PX, 3), np.uint8)
    canvas[: window.shape[0], : window.shape[1]] = window
    return canvas


def _header() -> NDArray[np.uint8]:
    """Draw the column titles, (HEADER_PX, 3 * SAMPLE_PX, 3)."""
    strip = Image.new("RGB", (len(COLUMNS) * SAMPLE_PX, HEADER_PX), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(FONT_PX)
    for number, name in enumerate(COLUMNS):
        middle = ((2 * number + 1) * SAMPLE_PX // 2, HEADER_PX // 2)
        draw.text(middle, name, "black", font, anchor="mm")
    return np.array(strip)
