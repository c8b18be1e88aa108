"""Degradations that make LR pictures: the benchmarks' bicubic reduction, or a camera's."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.model.config import SCALE
from runtime.errors import ConfigError

DegradationName = Literal["bicubic", "photo"]
DEGRADATIONS: tuple[DegradationName, ...] = ("bicubic", "photo")

PHOTO_MARGIN_LR_PX = 8
"""Context that `degrade_photo` needs around a crop, which its blur and resampling reach into."""


@dataclass(frozen=True, kw_only=True)
class PhotoDegradation:
    """Strength limits for each step of :func:`degrade_photo`.

    The steps and most ranges are those of Real-ESRGAN's first order (Wang et al., 2021),
    weakened where they would hide a photograph's own detail.
    """

    blur_sigma_px: tuple[float, float] = (0.2, 3.0)
    """Standard deviation of the Gaussian along each of its two axes, in HR pixels."""

    resize: tuple[float, float] = (0.2, 1.5)
    """Size of the picture between the two resizing steps, relative to the HR picture."""

    noise_levels: tuple[float, float] = (0.0, 10.0)
    """Standard deviation of Gaussian noise, in 8-bit levels."""

    poisson_scale: tuple[float, float] = (0.0, 0.6)
    """Strength of shot noise: its variance per level of brightness, in levels."""

    grey_noise: float = 0.4
    """Probability of equal noise in all colours."""

    jpeg_quality: tuple[int, int] = (40, 95)
    """Quality of the final compression."""


def degrade_bicubic(hr_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Degrade as in the paper: antialiased bicubic reduction.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB.

    Returns:
        (H, W, 3), uint8 RGB.
    """
    return bicubic_resize(hr_hwc, Fraction(1, SCALE))


def degrade_photo(
    hr_hwc: NDArray[np.uint8],
    random: np.random.Generator,
    limits: PhotoDegradation | None = None,
) -> NDArray[np.uint8]:
    """Degrade like a photograph: blur, resize, noise and JPEG, in this order.

    The classical model y = JPEG((x * k) reduced + n) with every part drawn at random: an
    anisotropic Gaussian blur; a resize to a random size by a random filter, then one to the LR
    size; Gaussian or shot noise; JPEG.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB.
        random: random number generator.
        limits: strength limits of each step; by default the class's own.

    Returns:
        (H, W, 3), uint8 RGB.
    """
    limits = limits or PhotoDegradation()
    height, width = (size // SCALE for size in hr_hwc.shape[:2])
    blurred = _blurred(hr_hwc, random, limits)
    reduced = _resized(blurred, (height, width), random, limits)
    noisy = _noisy(reduced, random, limits)
    return _compressed(noisy, random, limits)


def check_degradation(name: str) -> DegradationName:
    """Return the degradation of that name.

    Raises:
        ConfigError: the name is unknown.
    """
    for known in DEGRADATIONS:
        if name == known:
            return known
    raise ConfigError(f"degradation is {name!r}: choose {' or '.join(DEGRADATIONS)}")


def _blurred(
    image_hwc: NDArray[np.uint8], random: np.random.Generator, limits: PhotoDegradation
) -> NDArray[np.float64]:
    sigma_u, sigma_v = random.uniform(*limits.blur_sigma_px, size=2)
    angle = random.uniform(0, math.pi)
    radius = math.ceil(3 * limits.blur_sigma_px[1])
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    kernel = np.exp(-0.5 * ((u / sigma_u) ** 2 + (v / sigma_v) ** 2))
    kernel /= kernel.sum()
    # A rotated Gaussian is not separable: through the spectrum, on a picture with replicated
    # borders, so that its ends do not meet; the transform likes sizes without large factors.
    height, width = image_hwc.shape[:2]
    below, beyond = (radius + -(size + 2 * radius) % 32 for size in (height, width))
    padded = np.pad(image_hwc, ((radius, below), (radius, beyond), (0, 0)), mode="edge")
    size_hw = padded.shape[:2]
    planes = np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float64)
    spectra = np.fft.rfft2(planes) * np.fft.rfft2(kernel, size_hw)
    result = np.fft.irfft2(spectra, size_hw)[:, 2 * radius :, 2 * radius :]
    return np.asarray(result[:, :height, :width].transpose(1, 2, 0))


def _resized(
    image_hwc: NDArray[np.float64],
    size_hw: tuple[int, int],
    random: np.random.Generator,
    limits: PhotoDegradation,
) -> NDArray[np.float64]:
    # Uniform in the logarithm: a half is as likely as a double.
    factor = math.exp(random.uniform(math.log(limits.resize[0]), math.log(limits.resize[1])))
    between = [max(1, round(size * factor)) for size in image_hwc.shape[:2]]
    filters = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    first, second = (filters[choice] for choice in random.integers(len(filters), size=2))
    planes = []
    for channel in range(image_hwc.shape[2]):
        plane = Image.fromarray(image_hwc[..., channel].astype(np.float32))
        plane = plane.resize((between[1], between[0]), first)
        planes.append(np.asarray(plane.resize((size_hw[1], size_hw[0]), second)))
    return np.stack(planes, axis=-1).astype(np.float64)


def _noisy(
    image_hwc: NDArray[np.float64], random: np.random.Generator, limits: PhotoDegradation
) -> NDArray[np.uint8]:
    is_shot, is_grey = random.random() < 0.5, random.random() < limits.grey_noise
    shape = (*image_hwc.shape[:2], 1 if is_grey else image_hwc.shape[2])
    noise = random.standard_normal(shape)
    if is_shot:
        # The normal limit of a Poisson count: variance in proportion to the light.
        light = image_hwc.mean(axis=2, keepdims=True) if is_grey else image_hwc
        noise *= np.sqrt(random.uniform(*limits.poisson_scale) * np.clip(light, 0, 255))
    else:
        noise *= random.uniform(*limits.noise_levels)
    return np.clip(np.rint(image_hwc + noise), 0, 255).astype(np.uint8)


def _compressed(
    image_hwc: NDArray[np.uint8], random: np.random.Generator, limits: PhotoDegradation
) -> NDArray[np.uint8]:
    low, high = limits.jpeg_quality
    quality = int(random.integers(low, high + 1))
    with io.BytesIO() as file:
        Image.fromarray(image_hwc).save(file, "JPEG", quality=quality)
        file.seek(0)
        with Image.open(file) as image:
            return np.array(image)
