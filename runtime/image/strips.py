"""Strips: rows of a larger picture, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from runtime.image.picture import Picture, Samples


def header_of(picture: Picture, size_hw: tuple[int, int] | None = None) -> Picture:
    """Return a picture with the same kind and metadata and a stated size, but no memory.

    Args:
        picture: at least one pixel, whose first one all samples then equal.
        size_hw: by default the picture's own.
    """
    height, width = size_hw or picture.size_hw
    alpha_hw = picture.alpha_hw
    return replace(
        picture,
        rgb_hwc=cast(Samples, np.broadcast_to(picture.rgb_hwc[0, 0].copy(), (height, width, 3))),
        alpha_hw=None
        if alpha_hw is None
        else cast(Samples, np.broadcast_to(alpha_hw[0, 0].copy(), (height, width))),
        more=(),
    )


def rows_of(picture: Picture, start: int, stop: int) -> Picture:
    """Return rows of a picture, as a view."""
    alpha_hw = picture.alpha_hw
    return replace(
        picture,
        rgb_hwc=picture.rgb_hwc[start:stop],
        alpha_hw=None if alpha_hw is None else alpha_hw[start:stop],
    )


def stacked(upper: Picture, lower: Picture) -> Picture:
    """Join two strips of the same kind."""
    alpha_hw = upper.alpha_hw
    if alpha_hw is not None:
        assert lower.alpha_hw is not None
        alpha_hw = np.concatenate((alpha_hw, lower.alpha_hw))
    return replace(upper, rgb_hwc=np.concatenate((upper.rgb_hwc, lower.rgb_hwc)), alpha_hw=alpha_hw)


def regrouped(strips: Iterable[Picture], rows: int) -> Iterator[Picture]:
    """Regroup rows into strips of `rows`; the last one may be shorter."""
    rest: Picture | None = None
    for strip in strips:
        start = 0
        if rest is not None:
            start = min(rows - rest.size_hw[0], strip.size_hw[0])
            rest = stacked(rest, rows_of(strip, 0, start))
            if rest.size_hw[0] < rows:
                continue
            yield rest
            rest = None
        height = strip.size_hw[0]
        stop = start + (height - start) // rows * rows
        for top in range(start, stop, rows):
            yield rows_of(strip, top, top + rows)
        if stop < height:
            rest = rows_of(strip, stop, height)
    if rest is not None:
        yield rest


def interleaved(strip: Picture) -> Samples:
    """Return the channels for a file: grey or RGB, then alpha if any.

    Returns:
        (H, W, 1 to 4), the type of its samples.
    """
    colour = strip.grey_hw()[..., None] if strip.is_grey else strip.rgb_hwc
    if strip.alpha_hw is None:
        return colour
    return np.concatenate((colour, strip.alpha_hw[..., None]), axis=2)
