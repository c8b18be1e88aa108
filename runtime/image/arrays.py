"""Converts between callers' NumPy arrays and Pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from runtime.image.picture import Picture


def picture_from_array(image: NDArray[Any]) -> Picture:
    """Convert an array to a picture.

    Args:
        image: (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16: grey, RGB or RGBA.

    Raises:
        ConfigError: it has another shape or type, or is no array.
    """
    if not isinstance(image, np.ndarray):
        raise ConfigError(
            f"{type(image).__name__} is not an image: expected a path, a PIL image or a NumPy array"
        )
    if image.dtype not in (np.uint8, np.uint16):
        raise ConfigError(f"the array's type is {image.dtype}: expected uint8 or uint16")
    if image.ndim == 2 and image.size:
        return Picture(rgb_hwc=np.repeat(image[..., None], 3, axis=2), is_grey=True)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
        raise ConfigError(
            f"the array's shape is {image.shape}: expected (H, W), (H, W, 3) or (H, W, 4)"
        )
    return Picture(rgb_hwc=image[..., :3], alpha_hw=image[..., 3] if image.shape[2] == 4 else None)


def array_like(image: NDArray[Any], picture: Picture) -> NDArray[Any]:
    """Convert a picture to an array with the channels of the original array."""
    if image.ndim == 2:
        return picture.grey_hw()
    if picture.alpha_hw is None:
        return picture.rgb_hwc
    return np.dstack((picture.rgb_hwc, picture.alpha_hw))
