"""Reduces pictures, whole or in strips, and enlarges alpha."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.image.picture import Picture, Samples, repeat_grey
from runtime.image.strips import rows_of, stacked

LANCZOS_RADIUS = 3
"""Radius of Lanczos in result pixels; in source pixels, this times the reduction."""

ALPHA_CONTEXT_PX = 2
"""Source pixels on each side that enlarged alpha depends on."""

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels, as in Pillow."""


def fit_part(picture: Picture, size_hw: tuple[int, int], box: Box | None = None) -> Picture:
    """Reduce part of a single picture, taking its surroundings into account.

    Args:
        picture: not changed.
        size_hw: size of the result.
        box: the part, its edges in pixels and fractions of them; the whole where None.
    """
    if picture.alpha_hw is not None:
        return _fit_with_alpha(picture, picture.alpha_hw, size_hw, box)
    if picture.is_grey:
        grey = _resized(picture.grey_hw(), size_hw, box)
        return replace(picture, rgb_hwc=repeat_grey(grey))
    if picture.rgb_hwc.dtype == np.uint8:
        # All channels at once, which Pillow does in 8 bits only, and several times faster.
        image = Image.fromarray(np.ascontiguousarray(picture.rgb_hwc))
        return replace(picture, rgb_hwc=np.asarray(_lanczos(image, size_hw, box)))
    planes = [_resized(picture.rgb_hwc[..., channel], size_hw, box) for channel in range(3)]
    return replace(picture, rgb_hwc=cast(Samples, np.stack(planes, axis=2)))


def fit_strips(
    strips: Iterable[Picture], size_hw: tuple[int, int], target_hw: tuple[int, int]
) -> Iterator[Picture]:
    """Reduce a picture whose rows come in strips, exactly as `fit_part` reduces a whole one.

    Args:
        strips: all rows from top to bottom.
        size_hw: size of the whole picture.
        target_hw: size of the whole result, no larger.

    Yields:
        Strips of the reduced picture, from top to bottom.
    """
    if size_hw == target_hw:
        yield from strips
        return
    ratio = size_hw[0] / target_hw[0]
    context = math.ceil(LANCZOS_RADIUS * max(1.0, ratio)) + 1
    held: Picture | None = None
    first = 0  # which row of the whole is the first one held
    begun = 0  # which row of the target comes next
    for strip in strips:
        held = strip if held is None else stacked(held, strip)
        known = first + held.size_hw[0]
        is_last = known == size_hw[0]
        stop = target_hw[0] if is_last else int((known - context) / ratio)
        if stop <= begun:
            continue
        top, bottom = begun * ratio - first, min(stop * ratio - first, float(held.size_hw[0]))
        box = (0.0, top, float(size_hw[1]), bottom)
        yield fit_part(held, (stop - begun, target_hw[1]), box)
        begun = stop
        needless = max(0, math.floor(begun * ratio) - context - first)
        held = rows_of(held, needless, held.size_hw[0])
        first += needless


def enlarge_alpha(alpha_hw: Samples, scale: int, *, rows: tuple[int, int] | None = None) -> Samples:
    """Enlarge an alpha channel smoothly (bicubic, clamped); constant alpha stays constant.

    Args:
        alpha_hw: (H, W), uint8 or uint16.
        scale: result pixels per source pixel, along each axis.
        rows: source rows to return results for; all if None. The result matches that of the
            whole if `ALPHA_CONTEXT_PX` rows on both sides are there, or all that the whole has.

    Returns:
        (scale * rows, scale * W), the same type.
    """
    height, width = alpha_hw.shape
    start, stop = rows or (0, height)
    size_hw = ((stop - start) * scale, width * scale)
    box = (0.0, float(start), float(width), float(stop))
    if alpha_hw.dtype == np.uint8:
        image = Image.fromarray(np.ascontiguousarray(alpha_hw))
        return np.array(_resampled(image, size_hw, Image.Resampling.BICUBIC, box))
    image = Image.fromarray(alpha_hw.astype(np.float32))
    values = np.asarray(_resampled(image, size_hw, Image.Resampling.BICUBIC, box))
    return _rounded_like(alpha_hw, values)


def _fit_with_alpha(
    picture: Picture, alpha_hw: Samples, size_hw: tuple[int, int], box: Box | None
) -> Picture:
    full = np.float32(np.iinfo(alpha_hw.dtype).max)
    weight = _resized_float(alpha_hw, size_hw, box)
    # Less than half a step of alpha is written as transparent; dividing by it would be noise.
    visible = weight >= 0.5
    planes = []
    for channel in range(3):
        colour = picture.rgb_hwc[..., channel].astype(np.float32)
        result = _resized_float(colour, size_hw, box)
        weighted = _resized_float(colour * (alpha_hw.astype(np.float32) / full), size_hw, box)
        np.divide(weighted * full, weight, out=result, where=visible)
        planes.append(_rounded_like(picture.rgb_hwc, result))
    rgb = cast(Samples, np.stack(planes, axis=2))
    return replace(picture, rgb_hwc=rgb, alpha_hw=_rounded_like(alpha_hw, weight))


def _resized(plane_hw: Samples, size_hw: tuple[int, int], box: Box | None) -> Samples:
    if plane_hw.dtype == np.uint8:
        return np.asarray(_lanczos(Image.fromarray(np.ascontiguousarray(plane_hw)), size_hw, box))
    return _rounded_like(plane_hw, _resized_float(plane_hw, size_hw, box))


def _resized_float(
    plane_hw: Samples | NDArray[np.float32], size_hw: tuple[int, int], box: Box | None
) -> NDArray[np.float32]:
    image = Image.fromarray(plane_hw.astype(np.float32))
    return np.array(_lanczos(image, size_hw, box))


def _lanczos(image: Image.Image, size_hw: tuple[int, int], box: Box | None) -> Image.Image:
    return _resampled(image, size_hw, Image.Resampling.LANCZOS, box)


def _resampled(
    image: Image.Image, size_hw: tuple[int, int], kernel: Image.Resampling, box: Box | None
) -> Image.Image:
    """Resize along rows, then along columns.

    Pillow by itself begins with the one or the other, depending on the sizes, and rounds in
    between: a part of a picture would come out otherwise than the whole.
    """
    left, top, right, bottom = box or (0.0, 0.0, float(image.width), float(image.height))
    (height, width), whole = size_hw, float(image.height)
    image = image.resize((width, image.height), kernel, (left, 0.0, right, whole))
    return image.resize((width, height), kernel, (0.0, top, float(width), bottom))


def _rounded_like(example: Samples, values: NDArray[np.float32]) -> Samples:
    """Round values to the example's type, clamped to its range."""
    clamped = np.clip(np.rint(values), 0, np.iinfo(example.dtype).max)
    return cast(Samples, clamped.astype(example.dtype))
