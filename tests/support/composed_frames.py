"""Frames for tests of animations, and their decoded pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.image.picture import Picture

RED, GREEN, BLUE = (200, 0, 0, 255), (0, 200, 0, 255), (0, 0, 200, 255)


NOTHING = (0, 0, 0, 0)


def block(colour: Sequence[int], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((*size_hw, len(colour)), colour, np.uint8)


def seen(path: Path, data: bytes) -> list[NDArray[np.uint8]]:
    """The composed frames as RGBA."""
    path.write_bytes(data)
    picture, outline = decode(path), read_outline(path)
    pages = (picture, *picture.more)
    assert outline.frames == len(pages)
    assert outline.size_hw == picture.size_hw == picture.source_size_hw
    assert all(outline.has_alpha == (page.alpha_hw is not None) for page in pages)
    return [rgba(page) for page in pages]


def rgba(page: Picture) -> NDArray[Any]:
    alpha = page.alpha_hw
    alpha = np.full(page.size_hw, 255, np.uint8) if alpha is None else alpha
    colour = np.where(alpha[..., None] > 0, page.rgb_hwc, 0)
    return np.dstack((colour, alpha))


def painted(*areas: tuple[Sequence[int], int, int, int, int]) -> NDArray[np.uint8]:
    """An 8 x 8 canvas with areas of colour, left, top, width and height, later ones on top."""
    canvas = np.zeros((8, 8, 4), np.uint8)
    for colour, left, top, width, height in areas:
        canvas[top : top + height, left : left + width] = colour
    return canvas
