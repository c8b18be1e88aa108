"""Reads 16-bit colour PNG, of which Pillow keeps only the upper 8 bits.

Pillow can be told in which order a file's bytes lie. Told the truth, it gives the upper byte of
every sample; told the opposite, the lower one. Two readings make 16 bits.
"""

from __future__ import annotations

import io
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def deep_samples(data: bytes, raw: str) -> NDArray[np.uint16] | None:
    """Read the 16-bit samples.

    Args:
        data: a PNG file.
        raw: Pillow's raw mode of the file; see `colour.raw_mode`.

    Returns:
        (H, W, C), C being 2 for grey and alpha, 3 for RGB or 4 for RGBA; None where the samples
        are not colours of 16 bits.
    """
    if raw == "LA;16B":
        # Four bytes a pixel, which is all that Pillow needs to know.
        four = _read(data, "RGBA").astype(np.uint16)
        return cast("NDArray[np.uint16]", four[..., ::2] * 256 + four[..., 1::2])
    if raw not in ("RGB;16B", "RGBA;16B"):
        return None
    upper, lower = (_read(data, raw[:-1] + order).astype(np.uint16) for order in "BL")
    return cast("NDArray[np.uint16]", upper * 256 + lower)


def _read(data: bytes, raw: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.tile = [tile._replace(args=raw) for tile in image.tile]
        image.load()
        return np.array(image)
