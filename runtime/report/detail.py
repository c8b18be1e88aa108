"""Finds the most detailed part of a picture, and copies it, from rows as they pass."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.image.picture import Picture, Samples

MOST_CELLS = 1 << 22
"""Maximum number of cells counted separately: 32 MiB, whatever the picture's size."""


class Detail:
    """Finds the part of a picture in which neighbouring pixels differ most.

    Args:
        size_hw: size of the picture.
        part_hw: height and width of the part, at most the picture's.
    """

    def __init__(self, size_hw: tuple[int, int], part_hw: tuple[int, int]) -> None:
        self._size_hw = size_hw
        self._part_hw = part_hw
        height, width = size_hw
        least = math.ceil(math.sqrt(height * width / MOST_CELLS))
        self._cell = max(1, min(part_hw) // 8, least)
        rows, self._columns = (length // self._cell for length in size_hw)
        # One row more, for what is left below the last whole cell.
        self._energy = np.zeros((rows + 1, self._columns), np.int64)
        self._above: NDArray[np.int32] | None = None
        self._seen = 0

    def add(self, rgb_hwc: Samples) -> None:
        """Add the next rows.

        Args:
            rgb_hwc: (rows, W, 3), uint8 or uint16.
        """
        green = rgb_hwc[..., 1].astype(np.int32)
        above = green[:1] if self._above is None else self._above
        energy = np.abs(np.diff(green, axis=0, prepend=above))
        energy[:, 1:] += np.abs(np.diff(green, axis=1))
        whole = energy[:, : self._columns * self._cell]
        of_cells = whole.reshape(len(green), self._columns, self._cell).sum(axis=2, dtype=np.int64)
        numbers = (self._seen + np.arange(len(green))) // self._cell
        np.add.at(self._energy, numbers, of_cells)
        self._above = green[-1:]
        self._seen += len(green)

    def top_left(self) -> tuple[int, int]:
        """Return the position of the part, after all rows.

        Returns:
            Its top and left, exact to about a tenth of the part, or to a third in pictures of
            several gigapixels.
        """
        (height, width), (part_height, part_width) = self._size_hw, self._part_hw
        rows, columns = len(self._energy) - 1, self._columns
        if not rows or not columns:
            return 0, 0
        sums = np.zeros((rows + 1, columns + 1))
        sums[1:, 1:] = self._energy[:rows].cumsum(axis=0).cumsum(axis=1)
        high = min(max(1, part_height // self._cell), rows)
        wide = min(max(1, part_width // self._cell), columns)
        of_parts: NDArray[Any] = (
            sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
        )
        row, column = np.unravel_index(int(of_parts.argmax()), of_parts.shape)
        return (
            min(int(row) * self._cell, height - part_height),
            min(int(column) * self._cell, width - part_width),
        )


class Cutter:
    """Copies a part of a picture whose rows come in strips.

    Args:
        rows: rows of the part, with or without a step.
        columns: likewise.
    """

    def __init__(self, rows: slice, columns: slice) -> None:
        self._rows = rows
        self._columns = columns
        self._strips: list[Picture] = []
        self._seen = 0

    @property
    def is_complete(self) -> bool:
        """Whether all rows of the part have been seen."""
        return self._rows.stop is not None and self._seen >= self._rows.stop

    def add(self, strip: Picture) -> None:
        """Copy the part's share of the next rows."""
        first, height = self._seen, strip.size_hw[0]
        self._seen += height
        start, stop, step = self._rows.start or 0, self._rows.stop, self._rows.step or 1
        # The first row of the strip that is one of the part's, which begin at `start`.
        begin = start - first if first < start else (start - first) % step
        end = height if stop is None else min(height, stop - first)
        if begin < end:
            self._strips.append(_copied(strip, slice(begin, end, step), self._columns))

    def cut(self) -> Picture:
        """Return the part, after all its rows."""
        alphas = [strip.alpha_hw for strip in self._strips if strip.alpha_hw is not None]
        return replace(
            self._strips[0],
            rgb_hwc=np.concatenate([strip.rgb_hwc for strip in self._strips]),
            alpha_hw=np.concatenate(alphas) if alphas else None,
        )


def _copied(strip: Picture, rows: slice, columns: slice) -> Picture:
    alpha_hw = strip.alpha_hw
    return replace(
        strip,
        rgb_hwc=strip.rgb_hwc[rows, columns].copy(),
        alpha_hw=None if alpha_hw is None else alpha_hw[rows, columns].copy(),
        more=(),
    )
