"""Composes animation frames from the parts in the file, as browsers do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Afterwards: TypeAlias = Literal["keep", "clear", "restore"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The part that one frame draws."""

    rgba_hwc: NDArray[np.uint8]
    """(H, W, 4), unassociated alpha; it may reach beyond the canvas."""
    left: int
    top: int
    is_over: bool
    """Whether it is blended over the canvas; otherwise it replaces colours and alpha."""
    afterwards: Afterwards
    """Disposal of its area before the next frame: keep, clear, or restore the previous state."""


def composed_frames(
    layers: Iterable[Layer], size_hw: tuple[int, int]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the composed frames.

    Args:
        layers: the layers in order.
        size_hw: size of the canvas, which starts transparent.

    Yields:
        (H, W, 4), alpha apart from the colours; not changed afterwards.
    """
    canvas = np.zeros((*size_hw, 4), np.uint8)
    for layer in layers:
        area = np.s_[
            layer.top : layer.top + layer.rgba_hwc.shape[0],
            layer.left : layer.left + layer.rgba_hwc.shape[1],
        ]
        before = canvas[area].copy()
        drawn = layer.rgba_hwc[: before.shape[0], : before.shape[1]]
        canvas[area] = _over(drawn, before) if layer.is_over else drawn
        yield canvas.copy()
        if layer.afterwards == "clear":
            canvas[area] = 0
        elif layer.afterwards == "restore":
            canvas[area] = before


def _over(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    result = np.where(upper[..., 3:] > 0, upper, lower)
    mixed = (upper[..., 3] > 0) & (upper[..., 3] < 255)
    if mixed.any():
        result[mixed] = _mixed(upper[mixed], lower[mixed])
    return result


def _mixed(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend semi-transparent pixels over others (N, 4): Porter and Duff's "over"."""
    above, below = (pixels[:, 3:].astype(np.float64) / 255 for pixels in (upper, lower))
    below *= 1 - above
    alpha = above + below
    colour = (upper[:, :3] * above + lower[:, :3] * below) / alpha
    return np.rint(np.concatenate((colour, alpha * 255), axis=1)).astype(np.uint8)
