"""Measures the patterns of 8 and 4 pixels that networks weave into pictures.

python -m tests.campaigns.weave FOLDER...

For windows of 64x64 pixels of every picture: the power of their luma at 1/8 cycle per pixel along
both axes, at 1/8 along one and 1/4 along the other, and at 1/4 along one or both, divided by that
of neighbouring frequencies. Shown is the
median and the 90th percentile; without a pattern the median is about 1 or, since power falls with
the frequency, less.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dggn.data.folder import picture_paths, read_rgb
from dggn.metrics.luma import luma_bt601

WINDOW_PX = 64
NEIGHBOUR = 3
"""Distance to a neighbouring frequency, in cycles per window: beyond the taper's reach."""

PLACES = {
    "8 px": ((8, 8), (8, -8)),
    "8 by 4 px": ((8, 16), (8, -16), (16, 8), (16, -8)),
    "4 px": ((16, 16), (16, -16), (16, 0), (0, 16)),
}
"""Frequencies by the pattern's period, in cycles per window."""


def excess(image_hwc: NDArray[np.uint8], period: str) -> NDArray[np.float64]:
    """Return, for each window that is not flat, how far a pattern's power stands out."""
    luma = luma_bt601(image_hwc)
    rows, columns = (length // WINDOW_PX for length in luma.shape)
    cut = luma[: rows * WINDOW_PX, : columns * WINDOW_PX]
    split = cut.reshape(rows, WINDOW_PX, columns, WINDOW_PX).swapaxes(1, 2)
    windows = split.reshape(-1, WINDOW_PX, WINDOW_PX)
    windows = windows[np.ptp(windows, axis=(1, 2)) > 1]
    taper = np.hanning(WINDOW_PX + 1)[:-1]
    centred = windows - windows.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(centred * np.outer(taper, taper))) ** 2

    def at(row: int, column: int) -> NDArray[np.float64]:
        found: NDArray[np.float64] = power[:, row % WINDOW_PX, column % WINDOW_PX]
        return found

    sides = (-NEIGHBOUR, NEIGHBOUR)
    ratios = [
        at(row, column)
        / np.mean([at(row + up, column + left) for up in sides for left in sides], axis=0)
        for row, column in PLACES[period]
    ]
    result: NDArray[np.float64] = np.mean(ratios, axis=0)
    return result


def main() -> None:
    """Measure folders of pictures, and print a table."""
    print(f"| pictures | {' | '.join(f'{period}, median | 90th' for period in PLACES)} |")
    print(f"| --- |{' ---: |' * 2 * len(PLACES)}")
    for name in sys.argv[1:]:
        pictures = [read_rgb(path) for path in picture_paths(Path(name))]
        shown = []
        for period in PLACES:
            ratios = np.concatenate([excess(one, period) for one in pictures])
            shown += [f"{np.percentile(ratios, part):.2f}" for part in (50, 90)]
        print(f"| {Path(name).name} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
