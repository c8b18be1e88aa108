"""Luma as the super-resolution field computes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def luma_bt601(image_hwc: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the Y of YCbCr (ITU-R BT.601, studio range), matching MATLAB's `rgb2ycbcr`.

    Args:
        image_hwc: (H, W, 3), uint8 RGB.

    Returns:
        (H, W), float64, in [16, 235], not rounded.
    """
    weights = np.array([65.481, 128.553, 24.966])
    luma: NDArray[np.float64] = image_hwc @ weights / 255 + 16
    return luma
