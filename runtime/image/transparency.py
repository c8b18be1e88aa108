"""Keeps invisible colours from bleeding into visible ones."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image

from runtime.image.picture import Samples, reduce_to_8_bits

_CONTRAST = 1.7
_THIN, _THIN_STAYS = 0.53, 0.8
"""Details that cover less of their neighbourhood are thin, and would fade without help."""


def fill_transparent(rgb_hwc: Samples, alpha_hw: Samples) -> Samples:
    """Fill fully transparent pixels with the colours of their visible neighbourhood.

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


def is_mask(alpha_hw: Samples) -> bool:
    """Return whether every pixel is either fully opaque or fully transparent."""
    return bool(((alpha_hw == 0) | (alpha_hw == np.iinfo(alpha_hw.dtype).max)).all())


def without_steps(alpha_hw: Samples) -> Samples:
    """Smooth the staircase outlines of a mask; other alpha stays as it is.

    A mask is an alpha that is either none or full, as GIF and 1-bit masks have it. Enlarged as it
    is, each of its pixels would be seen. So its outline becomes partly transparent where it is a
    stair, as if it had been drawn with antialiasing. Straight edges stay, and so do lines, dots
    and holes that are one pixel wide.

    Args:
        alpha_hw: (H, W), uint8 or uint16; not changed.

    Returns:
        The same type; the argument itself where it is no mask.
    """
    full = np.iinfo(alpha_hw.dtype).max
    inside = alpha_hw == full
    if not is_mask(alpha_hw) or inside.all() or not inside.any():
        return alpha_hw
    share = inside.astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(share, [(1, 1) if axis == side else (0, 0) for side in (0, 1)], mode="edge")
        before, after = (
            np.take(padded, range(start, start + share.shape[axis]), axis) for start in (0, 2)
        )
        share = 0.5 * share + 0.25 * (before + after)
    # Of a straight edge 3/4 is left, of a right corner 9/16, of a line 1/2 or less.
    share[inside & (share < _THIN)] = _THIN_STAYS
    share[~inside & (share > 1 - _THIN)] = 1 - _THIN_STAYS
    soft = np.clip((share - 0.5) * _CONTRAST + 0.5, 0, 1)
    return cast(Samples, np.rint(soft * full).astype(alpha_hw.dtype))


def _halved(image: Image.Image) -> Image.Image:
    """Average the visible pixels of every four; visible where one of them is."""
    means = image.convert("RGBa").reduce(2).convert("RGBA")
    means.putalpha(means.getchannel("A").point(lambda alpha: 255 if alpha else 0))
    return means
