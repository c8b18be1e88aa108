"""Small before and after pictures of one result, for the report that people look at.

They show the part of the picture with the most detail, in the result's own pixels: in a picture
reduced as a whole, nothing would be seen of what was gained.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from runtime.colour import to_srgb
from runtime.picture import Picture, Samples, on_white, reduce_to_8_bits

VIEW_HW = (360, 480)
"""Of the part that is shown, in pixels of the result."""

WHOLE_SIDE_PX = 128
"""The longest side of the picture that shows where that part lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """Three JPEG files in sRGB."""

    before: bytes
    """The part of the source, enlarged by bicubic interpolation."""
    after: bytes
    """The same part of the result."""
    whole: bytes
    """The whole source, reduced."""
    size_hw: tuple[int, int]
    """Of `before` and `after`, in pixels."""
    box: tuple[float, float, float, float]
    """Where the part lies: left, top, width and height, as shares of the whole."""


@dataclass(frozen=True, kw_only=True)
class Before:
    """What is kept of a source until its result is there: much less than its samples."""

    part: Picture
    size_hw: tuple[int, int]
    """Of the whole source."""
    top_left: tuple[int, int]
    """Of the part, in the source's pixels."""
    whole: bytes

    @classmethod
    def of(cls, picture: Picture, target_size_hw: tuple[int, int]) -> Before:
        """Choose the part to show.

        Args:
            picture: the source; not changed.
            target_size_hw: how large the result will be.
        """
        height, width = picture.size_hw
        enlarged = target_size_hw[0] / height
        part_hw = (
            min(height, max(1, round(VIEW_HW[0] / enlarged))),
            min(width, max(1, round(VIEW_HW[1] / enlarged))),
        )
        top, left = most_detailed(picture.rgb_hwc, part_hw)
        rows, columns = slice(top, top + part_hw[0]), slice(left, left + part_hw[1])
        whole = _srgb(_cut(picture, _steps(height), _steps(width)))
        whole.thumbnail((WHOLE_SIDE_PX, WHOLE_SIDE_PX))
        return cls(
            part=_cut(picture, rows, columns),
            size_hw=picture.size_hw,
            top_left=(top, left),
            whole=_jpeg(whole, quality=70),
        )

    def beside(self, result: Picture) -> Preview:
        """The preview, once the result is there.

        Args:
            result: as it is written, reduced or not; not changed.
        """
        (height, width), (top, left) = self.size_hw, self.top_left
        part_height, part_width = self.part.size_hw
        rows = _scaled(top, part_height, result.size_hw[0] / height, result.size_hw[0])
        columns = _scaled(left, part_width, result.size_hw[1] / width, result.size_hw[1])
        after = _srgb(_cut(result, rows, columns))
        before = _srgb(self.part).resize(after.size, Image.Resampling.BICUBIC)
        return Preview(
            before=_jpeg(before, quality=80),
            after=_jpeg(after, quality=85),
            whole=self.whole,
            size_hw=(after.height, after.width),
            box=(left / width, top / height, part_width / width, part_height / height),
        )


def most_detailed(rgb_hwc: Samples, part_hw: tuple[int, int]) -> tuple[int, int]:
    """Where the part of a picture lies in which neighbouring pixels differ most.

    Args:
        rgb_hwc: (H, W, 3), uint8 or uint16.
        part_hw: height and width of the part, at most the picture's.

    Returns:
        Its top and left, exact to about a tenth of the part.
    """
    cell = max(1, min(part_hw) // 8)
    green = rgb_hwc[..., 1].astype(np.int32)
    rows, columns = green.shape[0] // cell, green.shape[1] // cell
    if not rows or not columns:
        return 0, 0
    energy = np.zeros(green.shape, np.int32)
    energy[:, 1:] = np.abs(np.diff(green, axis=1))
    energy[1:] += np.abs(np.diff(green, axis=0))
    cells = energy[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
    sums = np.zeros((rows + 1, columns + 1))
    sums[1:, 1:] = cells.sum(axis=(1, 3), dtype=np.int64).cumsum(axis=0).cumsum(axis=1)
    high, wide = (
        min(max(1, part // cell), n) for part, n in zip(part_hw, (rows, columns), strict=True)
    )
    of_parts: NDArray[Any] = (
        sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    )
    row, column = np.unravel_index(int(of_parts.argmax()), of_parts.shape)
    return (
        min(int(row) * cell, green.shape[0] - part_hw[0]),
        min(int(column) * cell, green.shape[1] - part_hw[1]),
    )


def _steps(length: int) -> slice:
    """So few rows or columns that the small picture is made quickly, but four times enough."""
    return slice(None, None, max(1, length // (4 * WHOLE_SIDE_PX)))


def _scaled(start: int, length: int, factor: float, limit: int) -> slice:
    first = min(round(start * factor), limit - 1)
    return slice(first, max(first + 1, min(round((start + length) * factor), limit)))


def _cut(picture: Picture, rows: slice, columns: slice) -> Picture:
    alpha = picture.alpha_hw
    return replace(
        picture,
        rgb_hwc=picture.rgb_hwc[rows, columns].copy(),
        alpha_hw=None if alpha is None else alpha[rows, columns].copy(),
    )


def _srgb(picture: Picture) -> Image.Image:
    rgb = picture.rgb_hwc
    if picture.alpha_hw is not None:
        rgb = on_white(rgb, picture.alpha_hw)
    image = Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(rgb)))
    if not picture.icc_profile:
        return image
    try:
        return to_srgb(image.convert("L") if picture.is_grey else image, picture.icc_profile)
    except ImageCms.PyCMSError:
        return image


def _jpeg(image: Image.Image, *, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
