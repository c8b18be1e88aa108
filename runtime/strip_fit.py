"""Reducing results to the size asked for, strip by strip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from runtime.picture import Picture
from runtime.resize import LANCZOS_RADIUS, fit_part
from runtime.strips import rows_of, stacked


def fit_strips(
    strips: Iterable[Picture], size_hw: tuple[int, int], target_hw: tuple[int, int]
) -> Iterator[Picture]:
    """Reduce a picture whose rows come in strips, as `resize.fit` does a whole one.

    Args:
        strips: all rows from top to bottom.
        size_hw: of the whole they make.
        target_hw: of the whole that is wanted, no larger.

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
