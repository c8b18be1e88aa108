"""Colours under transparent pixels, which nobody sees but a network would mix in."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from runtime.picture import Samples

Floats: TypeAlias = NDArray[np.float32]


def fill_hidden(rgb_hwc: Samples, alpha_hw: Samples) -> Samples:
    """Continue what is visible into what is fully transparent.

    Editors leave black, white or remains of a background there; enlarged with the rest, it
    would show as a halo around what is visible. Here every transparent pixel takes the mean of
    the visible ones near it: reduced by half again and again, colours spread until all is filled.

    Args:
        rgb_hwc: (H, W, 3), uint8 or uint16; not changed.
        alpha_hw: (H, W), the same type.

    Returns:
        (H, W, 3), the same type; the argument itself where nothing, or everything, is hidden.
    """
    hidden = alpha_hw == 0
    if not hidden.any() or hidden.all():
        return rgb_hwc
    # Hardly visible pixels hold rounded colours, so they count for less.
    weight = alpha_hw.astype(np.float32)
    filled = _filled(rgb_hwc.astype(np.float32), weight)
    result = rgb_hwc.copy()
    result[hidden] = np.rint(filled[hidden]).astype(rgb_hwc.dtype)
    return result


def _filled(colour: Floats, weight: Floats) -> Floats:
    """Colours with those of no weight filled in from the next smaller picture."""
    empty = weight == 0
    if not empty.any() or weight.size == 1:
        return colour
    height, width = weight.shape
    small_weight = _halved(weight)
    small = _halved(colour * weight[..., None])
    np.divide(small, small_weight[..., None], out=small, where=small_weight[..., None] > 0)
    # So that neighbours count alike further up, however many of their pixels were visible.
    small = _filled(small, np.minimum(small_weight, 1))
    large = small.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return cast(Floats, np.where(empty[..., None], large, colour))


def _halved(plane: Floats) -> Floats:
    """Sums of 2 x 2 pixels; an odd row or column at the end counts as zeros beyond it."""
    height, width = plane.shape[:2]
    padding = [(0, height % 2), (0, width % 2)] + [(0, 0)] * (plane.ndim - 2)
    padded = np.pad(plane, padding)
    rows = padded[::2] + padded[1::2]
    return cast(Floats, rows[:, ::2] + rows[:, 1::2])
