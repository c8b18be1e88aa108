"""What can happen to a picture between the world and its LR file, and the file it becomes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dggn.data.bicubic import bicubic_resize
from dggn.model.config import SCALE

ALIASED = "bicubic-aliased"
"""Bicubic without antialiasing: four pixels a side, wherever the others went."""

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    ALIASED: None,
}
"""Filters that reduce, by name, and what Pillow calls them where it has them."""

UNREDUCED = "none"
"""In a filter's place: the picture keeps its size."""

JPEG_BLOCK_PX = 8

CHROMA_GRAIN_PX = 2
"""Side of a grain of chroma noise: cameras smooth colour more than light."""

MIDDLE_LEVEL = 128.0
"""Luma at which shot noise has its nominal strength."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Sensor noise, standard deviations in levels of 255."""

    luma: float = 0.0
    """Grey noise."""

    chroma: float = 0.0
    """Coloured noise, in grains of `CHROMA_GRAIN_PX`."""

    shot: bool = False
    """Grows with the square root of the light, as the count of photons does."""


@dataclass(frozen=True, kw_only=True)
class Save:
    """One time that a picture was saved as JPEG."""

    quality: int
    """libjpeg's, 1 to 95."""

    subsampled: bool
    """Chroma of half the resolution (4:2:0) instead of the full one (4:4:4)."""

    shift_yx: tuple[int, int] = (0, 0)
    """Where the picture's corner lay in a block of 8x8 px: elsewhere than now if it was cropped
    afterwards."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What happens to an HR picture on its way to an LR picture, in this order."""

    seed: int
    """Of the noise."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, in HR pixels."""

    noise_before: Noise = Noise()
    """Of the HR picture."""

    filter: str = "bicubic"
    """Reduces to a quarter, one of `FILTERS`, or `UNREDUCED`."""

    noise_after: Noise = Noise()
    """Of the LR picture."""

    sharpen_percent: int = 0
    """Strength of an unsharp mask on the LR picture."""

    sharpen_px: float = 1.0
    """Its radius, in LR pixels."""

    saves: tuple[Save, ...] = ()
    """As JPEG; none for a picture that was never lossy."""


def live_through(hr_hwc: NDArray[np.uint8], history: History) -> NDArray[np.uint8]:
    """The LR picture that an HR picture becomes.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB; (H, W, 3) where the history keeps the size.
        history: what happens; equal histories give equal pictures.

    Returns:
        (H, W, 3), uint8 RGB.

    Raises:
        ValueError: the size is no multiple of 4, or the filter is unknown.
    """
    random = np.random.default_rng(history.seed)
    picture = hr_hwc
    if history.blur_px:
        picture = _filtered(picture, ImageFilter.GaussianBlur(history.blur_px))
    picture = add_noise(picture, history.noise_before, random)
    if history.filter != UNREDUCED:
        picture = reduce(picture, history.filter)
    picture = add_noise(picture, history.noise_after, random)
    if history.sharpen_percent:
        mask = ImageFilter.UnsharpMask(history.sharpen_px, history.sharpen_percent, threshold=0)
        picture = _filtered(picture, mask)
    for one in history.saves:
        picture = save_as_jpeg(picture, one)
    return picture


def reduce(hr_hwc: NDArray[np.uint8], filter_name: str) -> NDArray[np.uint8]:
    """Reduce to a quarter; no filter shifts the picture.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB.
        filter_name: one of `FILTERS`.

    Returns:
        (H, W, 3), uint8 RGB.

    Raises:
        ValueError: the size is no multiple of 4, or the filter is unknown.
    """
    height, width = hr_hwc.shape[:2]
    if height % SCALE or width % SCALE:
        raise ValueError(f"the picture is {width}x{height}: expected multiples of {SCALE}")
    if filter_name not in FILTERS:
        raise ValueError(f"no filter is called {filter_name!r}: choose {', '.join(FILTERS)}")
    resampling = FILTERS[filter_name]
    if resampling is None:
        return bicubic_resize(hr_hwc, Fraction(1, SCALE), antialias=False)
    image = Image.fromarray(np.ascontiguousarray(hr_hwc))
    return np.array(image.resize((width // SCALE, height // SCALE), resampling))


def add_noise(
    image_hwc: NDArray[np.uint8], noise: Noise, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Add sensor noise to a picture, (H, W, 3), uint8 RGB."""
    if not noise.luma and not noise.chroma:
        return image_hwc
    height, width = image_hwc.shape[:2]
    luma = random.standard_normal((height, width), np.float32) * noise.luma
    grains = -(-height // CHROMA_GRAIN_PX), -(-width // CHROMA_GRAIN_PX)
    chroma = random.standard_normal((2, *grains), np.float32) * noise.chroma
    blue, red = chroma.repeat(CHROMA_GRAIN_PX, 1).repeat(CHROMA_GRAIN_PX, 2)[:, :height, :width]
    # From YCbCr (BT.601, as in JPEG) to RGB.
    added = np.stack([luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.772 * blue])
    if noise.shot:
        light = image_hwc @ np.array([0.299, 0.587, 0.114], np.float32)
        added *= np.sqrt(light / MIDDLE_LEVEL)
    noisy: NDArray[np.float32] = image_hwc + added.transpose(1, 2, 0)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def save_as_jpeg(image_hwc: NDArray[np.uint8], save: Save) -> NDArray[np.uint8]:
    """A picture, (H, W, 3), uint8 RGB, as it comes back from a JPEG file."""
    top, left = save.shift_yx
    around = np.pad(image_hwc, ((top, 0), (left, 0), (0, 0)), mode="edge")
    subsampling = "4:2:0" if save.subsampled else "4:4:4"
    with io.BytesIO() as file:
        Image.fromarray(around).save(file, "JPEG", quality=save.quality, subsampling=subsampling)
        file.seek(0)
        with Image.open(file) as image:
            return np.asarray(image, np.uint8)[top:, left:].copy()


def _filtered(image_hwc: NDArray[np.uint8], kernel: ImageFilter.Filter) -> NDArray[np.uint8]:
    filtered = Image.fromarray(np.ascontiguousarray(image_hwc)).filter(kernel)
    return np.asarray(filtered, np.uint8)
