"""Measures the patterns that networks weave into pictures: of 8 and 4 pixels, and of any period.

python -m tests.campaigns.weave FOLDER...

For windows of 64x64 pixels of every picture: the power of their luma at 1/8 cycle per pixel along
both axes, at 1/8 along one and 1/4 along the other, and at 1/4 along one or both, divided by that
of neighbouring frequencies. Shown is the
median and the 90th percentile; without a pattern the median is about 1 or, since power falls with
the frequency, less.

The last column sees meshes of dots whose distance changes. In photographs power falls from each
band of frequencies to the next higher one; the column is its largest rise, by the median of
windows, in dB. Without a mesh it is below 0.
"""

from __future__ import annotations

import itertools
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

BANDS_PX = (8, 6, 5, 4.5, 4, 3.6, 3.2, 2.8, 2.4, 2.05)
"""Periods between which the bands of all directions lie."""


def rise_db(pictures: list[NDArray[np.uint8]]) -> float:
    """Return the largest rise of power from a band to the next higher one, in dB."""
    frequencies = np.fft.fftfreq(WINDOW_PX)
    radius = np.hypot(frequencies[:, None], frequencies)
    power = np.concatenate([_power(picture) for picture in pictures])
    bands = [
        power[:, (radius >= 1 / longest) & (radius < 1 / shortest)].mean(axis=1)
        for longest, shortest in itertools.pairwise(BANDS_PX)
    ]
    steps = np.diff(10 * np.log10(bands), axis=0)
    return float(np.median(steps, axis=1).max())


def excess(image_hwc: NDArray[np.uint8], period: str) -> NDArray[np.float64]:
    """Return, for each window that is not flat, how far a pattern's power stands out."""
    power = _power(image_hwc)

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


def _power(image_hwc: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the power spectra of luma in the windows that are not flat."""
    luma = luma_bt601(image_hwc)
    rows, columns = (length // WINDOW_PX for length in luma.shape)
    cut = luma[: rows * WINDOW_PX, : columns * WINDOW_PX]
    split = cut.reshape(rows, WINDOW_PX, columns, WINDOW_PX).swapaxes(1, 2)
    windows = split.reshape(-1, WINDOW_PX, WINDOW_PX)
    windows = windows[np.ptp(windows, axis=(1, 2)) > 1]
    taper = np.hanning(WINDOW_PX + 1)[:-1]
    centred = windows - windows.mean(axis=(1, 2), keepdims=True)
    power: NDArray[np.float64] = np.abs(np.fft.fft2(centred * np.outer(taper, taper))) ** 2
    return power


def main() -> None:
    """Measure folders of pictures, and print a table."""
    places = " | ".join(f"{period}, median | 90th" for period in PLACES)
    print(f"| pictures | {places} | rise, dB |")
    print(f"| --- |{' ---: |' * (2 * len(PLACES) + 1)}")
    for name in sys.argv[1:]:
        pictures = [read_rgb(path) for path in picture_paths(Path(name))]
        shown = []
        for period in PLACES:
            ratios = np.concatenate([excess(one, period) for one in pictures])
            shown += [f"{np.percentile(ratios, part):.2f}" for part in (50, 90)]
        shown.append(f"{rise_db(pictures):.1f}")
        print(f"| {Path(name).name} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
