"""How far tiled output is from whole-picture output, in grey levels of 255.

    python -m tests.campaigns.seams PICTURE_OR_FOLDER... [--model NAME] [--precision float32]
        [--halos 8 16 24]

Prints one Markdown row for each halo and tile size: the largest difference over all pictures,
the 99.99th percentile, and the mean. A synthetic picture, half black and half noise, is always
among them: ordinary photographs prove little about pooling.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.upscaler import Upscaler

TILE_SIZES = (64, 96, 128, 256)
WHOLE = 1 << 14


def half_black_half_noise(side_px: int = 320) -> NDArray[np.uint8]:
    """A picture whose left half is black and whose right half is noise."""
    image = np.zeros((side_px, side_px, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (side_px, side_px // 2, 3))
    image[:, side_px // 2 :] = noise
    return image


def pictures(sources: list[Path]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The synthetic picture, then those of the files and folders."""
    yield "half black, half noise", half_black_half_noise()
    for source in sources:
        for path in sorted(source.iterdir()) if source.is_dir() else [source]:
            with Image.open(path) as image:
                yield path.name, np.asarray(image.convert("RGB"))


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", type=Path)
    parser.add_argument("--model", default="dggn-lite")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--halos", nargs="+", type=int, default=[8, 16, 24])
    parser.add_argument("--tiles", nargs="+", type=int, default=list(TILE_SIZES))
    parser.add_argument("--each", action="store_true", help="a row for each picture, too")
    arguments = parser.parse_args()
    opened = partial(Upscaler, arguments.model, precision=arguments.precision)
    with opened(tile_size=WHOLE, overlap=0) as upscaler:
        wholes = [(name, image, upscaler(image)) for name, image in pictures(arguments.sources)]
    print("| halo | tile | pictures | maximum | 99.99th percentile | mean |")
    print("| --- | --- | --- | --- | --- | --- |")
    for halo in arguments.halos:
        for tile_size in arguments.tiles:
            if tile_size <= 2 * halo:
                continue
            counts = np.zeros(256, np.int64)
            used = 0
            with opened(tile_size=tile_size, overlap=halo) as upscaler:
                for name, image, whole in wholes:
                    if max(image.shape[:2]) <= tile_size:
                        continue
                    used += 1
                    tiled = upscaler(image)
                    difference = np.abs(tiled.astype(np.int16) - whole)
                    count = np.bincount(difference.ravel(), minlength=256)
                    counts += count
                    if arguments.each:
                        print(f"  {name}: {_summary(count)}", flush=True)
            print(f"| {halo} | {tile_size} | {used} | {_summary(counts)} |", flush=True)


def _summary(counts: NDArray[np.int64]) -> str:
    shares = np.cumsum(counts) / counts.sum()
    percentile = int(np.searchsorted(shares, 0.9999))
    mean = float(counts @ np.arange(256) / counts.sum())
    return f"{int(np.flatnonzero(counts)[-1])} | {percentile} | {mean:.5f}"


if __name__ == "__main__":
    main()
