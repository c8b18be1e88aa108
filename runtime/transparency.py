"""Colours that nobody sees, kept from spoiling those that everybody sees."""

from __future__ import annotations

import numpy as np
from PIL import Image

from runtime.picture import Samples, reduce_to_8_bits


def fill_transparent(rgb_hwc: Samples, alpha_hw: Samples) -> Samples:
    """Give fully transparent pixels the colours of their visible neighbourhood.

    What a file hides there, often black or a key colour, would otherwise be mixed into the
    visible edge by every filter and network that looks at it.

    The visible pixels are averaged into ever coarser pictures, and from the coarsest on, each
    fills the holes of the next finer one (pull and push; Gortler et al., "The Lumigraph",
    SIGGRAPH 1996).

    Args:
        rgb_hwc: (H, W, 3), uint8 or uint16, RGB; not changed.
        alpha_hw: (H, W), the same type.

    Returns:
        The same type and, wherever alpha is not 0, the same colours; the argument itself where
        nothing or all is transparent.
    """
    hidden = alpha_hw == 0
    if not hidden.any() or hidden.all():
        return rgb_hwc
    image = Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(rgb_hwc)))
    image.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
    levels = [image]
    while max(image.size) > 1:
        image = _halved(image)
        levels.append(image)
    fill = levels.pop()
    while levels:
        finer = levels.pop()
        fill = fill.resize(finer.size, Image.Resampling.BILINEAR)
        fill.paste(finer, mask=finer)
    filling = np.asarray(fill)[..., :3][hidden]
    result = rgb_hwc.copy()
    # 257 takes the full 8-bit range to the full 16-bit one.
    result[hidden] = filling if rgb_hwc.dtype == np.uint8 else filling * np.uint16(257)
    return result


def _halved(image: Image.Image) -> Image.Image:
    """Means of the visible ones of every four pixels; visible where one of them is."""
    means = image.convert("RGBa").reduce(2).convert("RGBA")
    means.putalpha(means.getchannel("A").point(lambda alpha: 255 if alpha else 0))
    return means
