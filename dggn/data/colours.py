"""Gives a teacher's result the local colours of its LR picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dggn.model.config import COLOUR_WINDOW_PX, SCALE


def with_colours_of(lr_hwc: NDArray[np.uint8], result_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shift a result's local means to those of its LR picture, as `ColourKeeping` does.

    Args:
        lr_hwc: (H, W, 3), RGB.
        result_hwc: (4H, 4W, 3), RGB.

    Returns:
        (4H, 4W, 3), RGB.
    """
    height, width = lr_hwc.shape[:2]
    result = result_hwc.astype(np.float32)
    reduced = result.reshape(height, SCALE, width, SCALE, 3).mean(axis=(1, 3))
    missing = _window_means(lr_hwc.astype(np.float32) - reduced)
    for colour in range(3):
        enlarged = Image.fromarray(missing[..., colour]).resize(
            (width * SCALE, height * SCALE), Image.Resampling.BILINEAR
        )
        result[..., colour] += np.asarray(enlarged)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def _window_means(image_hwc: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average over the part of each pixel's window that lies within the picture."""
    margin = COLOUR_WINDOW_PX // 2
    padding = ((margin, margin), (margin, margin), (0, 0))
    sums = _window_sums(np.pad(image_hwc, padding))
    counts = _window_sums(np.pad(np.ones_like(image_hwc), padding))
    return np.ascontiguousarray(sums / counts, dtype=np.float32)


def _window_sums(padded_hwc: NDArray[np.float32]) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(
        padded_hwc, (COLOUR_WINDOW_PX, COLOUR_WINDOW_PX), axis=(0, 1)
    )
    sums: NDArray[np.float32] = windows.sum(axis=(-2, -1))
    return sums
