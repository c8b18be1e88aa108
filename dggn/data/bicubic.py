"""Antialiased bicubic resizing that matches MATLAB's `imresize`.

The field's LR images are made this way, so results are only comparable when ours are too:
the function reproduces the published LR files of Set5 and Set14 byte for byte.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def bicubic_resize(
    image_hwc: NDArray[np.uint8], scale: Fraction, *, antialias: bool = True
) -> NDArray[np.uint8]:
    """Resize by `scale`, with antialiasing when shrinking.

    Cubic convolution with a = -0.5 (Keys, 1981), its support widened by 1/scale when
    shrinking; rows first, then columns, rounded to 8 bits between the passes; edges
    replicated.

    Args:
        image_hwc: (H, W, C), uint8.
        scale: output pixels per input pixel, for example `Fraction(1, 4)`.
        antialias: False to keep the support when shrinking, as many programs do.

    Returns:
        (ceil(H * scale), ceil(W * scale), C), uint8.
    """
    resized = _resize_rows(image_hwc, scale, antialias)
    both = _resize_rows(resized.transpose(1, 0, 2), scale, antialias).transpose(1, 0, 2)
    return np.ascontiguousarray(both)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _resize_rows(
    image_hwc: NDArray[np.uint8], scale: Fraction, antialias: bool
) -> NDArray[np.uint8]:
    height = image_hwc.shape[0]
    sharpness = min(float(scale), 1.0) if antialias else 1.0
    rows = np.arange(-(-height * scale.numerator // scale.denominator))
    centres = (rows + 0.5) / float(scale) - 0.5
    taps = int(np.ceil(4 / sharpness)) + 2
    first = np.floor(centres - 2 / sharpness).astype(np.int64)
    sources = first[:, None] + np.arange(taps)
    weights = _cubic((centres[:, None] - sources) * sharpness)
    weights /= weights.sum(axis=1, keepdims=True)
    sources = np.clip(sources, 0, height - 1)
    total = np.zeros((len(rows), *image_hwc.shape[1:]), np.float64)
    for tap in range(taps):
        if weights[:, tap].any():
            total += weights[:, tap, None, None] * image_hwc[sources[:, tap]]
    # Halves away from zero, as MATLAB rounds; the tolerance absorbs the sum's own error.
    return np.clip(np.floor(total + 0.5 + 1e-9), 0, 255).astype(np.uint8)
