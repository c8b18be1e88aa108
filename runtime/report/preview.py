"""Small before and after pictures of a result, for the HTML report.

They show the part of the picture with the most detail, in the result's own pixels: in a picture
reduced as a whole, nothing would be seen of what was gained.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageCms

from runtime.image.colour import to_srgb
from runtime.image.picture import Picture, on_white, reduce_to_8_bits
from runtime.image.strips import regrouped
from runtime.jobs.result import Preview
from runtime.report.detail import Cutter, Detail

VIEW_HW = (360, 480)
"""Height and width of the detail, in pixels of the result."""

MOST_VIEWS = 4
"""Maximum part of the source shown, in multiples of the view, if the result is much smaller."""

BLOCK_PX = 1 << 19
"""Pixels of a source examined at once."""

WHOLE_SIDE_PX = 128
"""Longer side of the overview picture."""


@dataclass(frozen=True, kw_only=True)
class Before:
    """Source data kept until the result is done, much smaller than the samples."""

    part: Picture
    size_hw: tuple[int, int]
    """Size of the whole source."""
    top_left: tuple[int, int]
    """Position of the detail, in source pixels."""
    whole: bytes

    @classmethod
    def of(cls, picture: Picture, target_size_hw: tuple[int, int]) -> Before:
        """Choose the detail to show.

        Args:
            picture: the source; not changed.
            target_size_hw: size of the result.
        """
        rows = max(1, BLOCK_PX // picture.size_hw[1])
        return cls.of_strips(picture, lambda: regrouped((picture,), rows), target_size_hw)

    @classmethod
    def of_strips(
        cls,
        header: Picture,
        strips: Callable[[], Iterable[Picture]],
        target_size_hw: tuple[int, int],
    ) -> Before:
        """Choose the detail to show from a source in strips.

        Args:
            header: header of the source.
            strips: returns its rows from top to bottom; called twice.
            target_size_hw: size of the result.

        Raises:
            Exception: what `strips` raises.
        """
        height, width = header.size_hw
        part_hw = _part_hw(header.size_hw, target_size_hw)
        detail = Detail(header.size_hw, part_hw)
        small = Cutter(_steps(height), _steps(width))
        for strip in strips():
            detail.add(strip.rgb_hwc)
            small.add(strip)
        whole = _srgb(small.cut(), header.icc_profile)
        whole.thumbnail((WHOLE_SIDE_PX, WHOLE_SIDE_PX))
        top, left = detail.top_left()
        part = Cutter(slice(top, top + part_hw[0]), slice(left, left + part_hw[1]))
        for strip in strips():
            part.add(strip)
            if part.is_complete:
                break
        return cls(
            part=replace(part.cut(), icc_profile=header.icc_profile),
            size_hw=header.size_hw,
            top_left=(top, left),
            whole=_jpeg(whole, quality=70),
        )

    def beside(self, result: Picture) -> Preview:
        """Build the preview from the result.

        Args:
            result: the result as written; not changed.
        """
        after = After(self, result.size_hw)
        after.add(result)
        return after.preview()


class After:
    """Collector of the same detail from a result in strips.

    Args:
        before: data of the source.
        size_hw: size of the whole result as written.
    """

    def __init__(self, before: Before, size_hw: tuple[int, int]) -> None:
        self._before = before
        (height, width), (top, left) = before.size_hw, before.top_left
        part_height, part_width = before.part.size_hw
        self._part = Cutter(
            _scaled(top, part_height, size_hw[0] / height, size_hw[0]),
            _scaled(left, part_width, size_hw[1] / width, size_hw[1]),
        )

    def add(self, strip: Picture) -> None:
        """Examine the next rows as they are written, without changing them."""
        self._part.add(strip)

    def preview(self) -> Preview:
        """Build the preview, after all rows."""
        before = self._before
        (height, width), (top, left) = before.size_hw, before.top_left
        part_height, part_width = before.part.size_hw
        after = _srgb(self._part.cut(), before.part.icc_profile)
        enlarged = _srgb(before.part, before.part.icc_profile).resize(
            after.size, Image.Resampling.BICUBIC
        )
        return Preview(
            before=_jpeg(enlarged, quality=80),
            after=_jpeg(after, quality=85),
            whole=before.whole,
            size_hw=(after.height, after.width),
            box=(left / width, top / height, part_width / width, part_height / height),
        )


def _part_hw(size_hw: tuple[int, int], target_size_hw: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the detail: as much as fills the view, within memory limits."""
    enlarged = target_size_hw[0] / size_hw[0]
    height, width = (
        min(length, max(1, round(view / enlarged)), MOST_VIEWS * view)
        for length, view in zip(size_hw, VIEW_HW, strict=True)
    )
    return height, width


def _steps(length: int) -> slice:
    """Return a stride that keeps few enough rows or columns to be fast, but four times the need."""
    return slice(None, None, max(1, length // (4 * WHOLE_SIDE_PX)))


def _scaled(start: int, length: int, factor: float, limit: int) -> slice:
    first = min(round(start * factor), limit - 1)
    return slice(first, max(first + 1, min(round((start + length) * factor), limit)))


def _srgb(picture: Picture, profile: bytes | None) -> Image.Image:
    rgb = picture.rgb_hwc
    if picture.alpha_hw is not None:
        rgb = on_white(rgb, picture.alpha_hw)
    image = Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(rgb)))
    if not profile:
        return image
    try:
        return to_srgb(image.convert("L") if picture.is_grey else image, profile)
    except ImageCms.PyCMSError:
        return image


def _jpeg(image: Image.Image, *, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
