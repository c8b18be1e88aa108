"""The processing of a picture between the scene and its LR file."""

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
"""Bicubic without antialiasing: 4x4 taps, however strong the reduction."""

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    ALIASED: None,
}
"""Reduction filters by name, with Pillow's equivalents."""

UNREDUCED = "none"
"""Filter name for a picture that keeps its size."""

JPEG_BLOCK_PX = 8

CHROMA_GRAIN_PX = 2
"""Grain size of chroma noise: cameras smooth colour more than luminance."""

MIDDLE_LEVEL = 128.0
"""Luma at which shot noise has its nominal strength."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Sensor noise, as standard deviations in 8-bit levels."""

    luma: float = 0.0
    """Luma noise."""

    chroma: float = 0.0
    """Chroma noise, in grains of `CHROMA_GRAIN_PX`."""

    shot: bool = False
    """Whether noise grows with the square root of brightness, as photon counts do."""


@dataclass(frozen=True, kw_only=True)
class Save:
    """One JPEG save."""

    quality: int
    """libjpeg quality, 1 to 95."""

    subsampled: bool
    """Whether chroma is subsampled (4:2:0 instead of 4:4:4)."""

    shift_yx: tuple[int, int] = (0, 0)
    """Offset of the picture's corner in the 8x8 px block grid; nonzero if it was cropped
    afterwards.
    """


@dataclass(frozen=True, kw_only=True)
class History:
    """Steps from an HR picture to an LR picture, in this order."""

    seed: int
    """Seed of the noise."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, in HR pixels."""

    noise_before: Noise = Noise()
    """Noise of the HR picture."""

    filter: str = "bicubic"
    """Filter that reduces to a quarter, one of `FILTERS`, or `UNREDUCED`."""

    noise_after: Noise = Noise()
    """Noise of the LR picture."""

    sharpen_percent: int = 0
    """Strength of an unsharp mask on the LR picture."""

    sharpen_px: float = 1.0
    """Radius of the unsharp mask, in LR pixels."""

    saves: tuple[Save, ...] = ()
    """JPEG saves; empty for a picture that was never compressed lossily."""


def apply_history(hr_hwc: NDArray[np.uint8], history: History) -> NDArray[np.uint8]:
    """Apply a history to an HR picture, and return the LR picture.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB; (H, W, 3) where the history keeps the size.
        history: steps to apply; equal histories give equal pictures.

    Returns:
        (H, W, 3), uint8 RGB.

    Raises:
        ValueError: the size is not a multiple of 4, or the filter is unknown.
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
        ValueError: the size is not a multiple of 4, or the filter is unknown.
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
    """Compress and decompress a picture, (H, W, 3), uint8 RGB, as JPEG."""
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
