"""Weights in 4 bits, with a scale for each block of 32 along an output channel.

A weight is one of -7.5, -6.5 ... 7.5 times its block's scale. Zero is not among these, which costs
less than leaving one of the sixteen unused to be symmetrical around it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights that share a scale."""

LEVELS = 16
"""Values that 4 bits have."""


def best_scales(blocks: NDArray[np.floating]) -> NDArray[np.float16]:
    """Return the scales with which blocks lose least, in the mean of squares.

    Args:
        blocks: (..., `BLOCK`), finite.

    Returns:
        (..., 1); zero for blocks of zeros, and infinite for weights that are too large.
    """
    largest = np.abs(blocks).max(axis=-1, keepdims=True)
    best = np.zeros(largest.shape, np.float16)
    least = np.full(largest.shape, np.inf)
    # With one of the first eight, a block that was rounded before loses nothing.
    for steps in (*np.arange(7.5, 0, -1), *np.linspace(7.75, 12.5, 20)):
        with np.errstate(over="ignore", invalid="ignore"):
            scale = (largest / steps).astype(np.float16)
            lost = np.square(nearest(blocks, scale) - blocks).sum(axis=-1, keepdims=True)
        best = np.where(lost < least, scale, best)
        least = np.fmin(lost, least)
    return np.where(np.isfinite(least), best, np.float16(np.inf))


def nearest(values: NDArray[np.floating], scale: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the nearest values that 4 bits have with some scales."""
    return _values(_levels(values, scale), scale)


def pack_int4(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Round weights to 4 bits, two of them in a byte: `low + 16 * high`.

    What was rounded before is kept exactly.

    Args:
        values: (channels, ...), a channel having whole blocks.

    Returns:
        (channels, blocks, `BLOCK` / 2), the low halves being the first of each block; and the
        scales, (channels, blocks, 1).
    """
    blocks = values.reshape(len(values), -1, BLOCK)
    scale = best_scales(blocks)
    levels = (_levels(blocks, scale) + LEVELS // 2).astype(np.uint8)
    low, high = np.split(levels, 2, axis=2)
    return low + LEVELS * high, scale


def unpack_int4(
    packed: NDArray[np.generic], scale: NDArray[np.generic], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the weights that :func:`pack_int4` packed, in their shape."""
    integers = packed.astype(np.float32)
    high = np.floor(integers / LEVELS)
    levels = np.concatenate([integers - LEVELS * high, high], axis=2) - LEVELS // 2
    return _values(levels, scale).reshape(shape)


def is_packed(
    packed: NDArray[np.generic], scale: NDArray[np.generic], shape: NDArray[np.generic]
) -> bool:
    """Return whether arrays can be packed weights, their scales, and their shape."""
    sizes: list[int] = shape.tolist() if shape.ndim == 1 else []
    return (
        packed.dtype == np.uint8
        and packed.ndim == 3
        and packed.shape[2] == BLOCK // 2
        and scale.dtype == np.float16
        and scale.shape == (*packed.shape[:2], 1)
        and shape.dtype == np.int64
        and all(size > 0 for size in sizes)
        and math.prod(sizes) == 2 * packed.size
    )


def _levels(values: NDArray[np.floating], scale: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return levels -8 to 7; the value of a level lies halfway to the next."""
    divisor = np.where(scale == 0, 1, scale).astype(np.float32)
    levels = np.floor(values / divisor).astype(np.float32)
    limited: NDArray[np.float32] = levels.clip(-(LEVELS // 2), LEVELS // 2 - 1)
    return limited


def _values(levels: NDArray[np.float32], scale: NDArray[np.generic]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = (levels + np.float32(0.5)) * scale.astype(np.float32)
    return product
