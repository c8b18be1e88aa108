"""PSNR and SSIM on luma without the border, as published tables report them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dggn.metrics.luma import luma_bt601

PEAK = 255.0

BORDER_PX = 4
"""Border of published x4 results: as many pixels as the scale."""


def peak_signal_noise_ratio(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border_px: int = BORDER_PX
) -> float:
    """Compute PSNR on Y, in dB; infinite for equal pictures.

    Args:
        image: (H, W, 3), uint8 RGB.
        reference: (H, W, 3), uint8 RGB.
        border_px: pixels to ignore at every side.

    Raises:
        ValueError: the sizes differ, or nothing is left inside the border.
    """
    luma, expected = _lumas(image, reference, border_px)
    error = float(np.mean((luma - expected) ** 2))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def structural_similarity(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, border_px: int = BORDER_PX
) -> float:
    """Compute SSIM on Y (Wang et al., 2004): 11x11 Gaussian window, sigma 1.5, valid part only.

    Args:
        image: (H, W, 3), uint8 RGB.
        reference: (H, W, 3), uint8 RGB.
        border_px: pixels to ignore at every side.

    Raises:
        ValueError: the sizes differ, or less than one window is left inside the border.
    """
    luma, expected = _lumas(image, reference, border_px)
    if min(luma.shape) < 11:
        raise ValueError(f"SSIM needs 11x11 px inside the border, got {luma.shape}")
    mean, mean_expected = _blur(luma), _blur(expected)
    variance = _blur(luma**2) - mean**2
    variance_expected = _blur(expected**2) - mean_expected**2
    covariance = _blur(luma * expected) - mean * mean_expected
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    similarity = ((2 * mean * mean_expected + c1) * (2 * covariance + c2)) / (
        (mean**2 + mean_expected**2 + c1) * (variance + variance_expected + c2)
    )
    return float(similarity.mean())


def _lumas(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], border_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if border_px < 0:
        raise ValueError(f"border_px is {border_px}: it must not be negative")
    if image.shape != reference.shape:
        raise ValueError(f"the pictures differ in size: {image.shape} and {reference.shape}")
    if min(image.shape[:2]) <= 2 * border_px:
        raise ValueError(f"nothing is left of {image.shape} inside a border of {border_px} px")
    inside = slice(border_px, -border_px or None)
    return luma_bt601(image)[inside, inside], luma_bt601(reference)[inside, inside]


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    rows = sum(w * plane[k : plane.shape[0] - 10 + k] for k, w in enumerate(window))
    assert isinstance(rows, np.ndarray)
    both = sum(w * rows[:, k : plane.shape[1] - 10 + k] for k, w in enumerate(window))
    assert isinstance(both, np.ndarray)
    return both
