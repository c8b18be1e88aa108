"""Cuts a part out of a picture whose rows come in strips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from runtime.picture import Picture


class Cutter:
    """Copies a part of a picture whose rows come in strips.

    Args:
        rows: of the part, with or without a step.
        columns: likewise.
    """

    def __init__(self, rows: slice, columns: slice) -> None:
        self._rows = rows
        self._columns = columns
        self._strips: list[Picture] = []
        self._seen = 0

    @property
    def is_complete(self) -> bool:
        """Whether further rows do not matter."""
        return self._rows.stop is not None and self._seen >= self._rows.stop

    def add(self, strip: Picture) -> None:
        """Take what belongs to the part from the next rows."""
        first, height = self._seen, strip.size_hw[0]
        self._seen += height
        start, stop, step = self._rows.start or 0, self._rows.stop, self._rows.step or 1
        # The first row of the strip that is one of the part's, which begin at `start`.
        begin = start - first if first < start else (start - first) % step
        end = height if stop is None else min(height, stop - first)
        if begin < end:
            self._strips.append(_copied(strip, slice(begin, end, step), self._columns))

    def cut(self) -> Picture:
        """The part, once all its rows were seen."""
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
