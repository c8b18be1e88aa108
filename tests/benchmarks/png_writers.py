"""Measures how fast several libraries write the network's results as PNG, and the file sizes.

    pip install isal zlib-ng opencv-python-headless 'pyvips[binary]'
    python tests/benchmarks/png_writers.py [--runs 5]

Enlarges the photographs in examples/ with the default model, then writes the results with each
writer that is installed: in one thread, and in one for each core. Rounds alternate between the
writers; medians are printed as Markdown. `up` writers filter rows as differences from the row
above (PNG's filter 2) with NumPy and leave the compression to a library.
"""

from __future__ import annotations

import argparse
import io
import platform
import statistics
import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from runtime.codecs.png import write_png
from runtime.image.picture import Picture, Samples
from runtime.system.cores import usable_cores
from runtime.upscaler import Upscaler

EXAMPLES = Path(__file__).parents[2] / "examples"
Writer = Callable[[Samples], bytes]


def pillow(level: int) -> Writer:
    def write(rgb_hwc: Samples) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(rgb_hwc).save(buffer, "PNG", compress_level=level)
        return buffer.getvalue()

    return write


def dggn() -> Writer:
    def write(rgb_hwc: Samples) -> bytes:
        buffer = io.BytesIO()
        picture = Picture(rgb_hwc=rgb_hwc)
        write_png(picture, [picture], buffer, {})
        return buffer.getvalue()

    return write


def up(compress: Callable[[bytes], bytes]) -> Writer:
    def write(rgb_hwc: Samples) -> bytes:
        height, width, _ = rgb_hwc.shape
        rows = rgb_hwc.reshape(height, -1)
        filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = 2
        filtered[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", compress(filtered.tobytes())), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
            for name, content in chunks
        )

    return write


def vips(filter_: str) -> Writer:
    pyvips = import_module("pyvips")

    def write(rgb_hwc: Samples) -> bytes:
        image = pyvips.Image.new_from_array(rgb_hwc)
        result: bytes = image.pngsave_buffer(compression=1, filter=filter_)
        return result

    return write


def opencv() -> Writer:
    cv2: Any = import_module("cv2")

    def write(rgb_hwc: Samples) -> bytes:
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        done, data = cv2.imencode(".png", cv2.cvtColor(rgb_hwc, cv2.COLOR_RGB2BGR), options)
        assert done
        return bytes(data)

    return write


def writers() -> dict[str, Writer]:
    """Return the installed writers."""
    found: dict[str, Writer] = {f"pillow, level {level}": pillow(level) for level in (1, 2, 6, 0)}
    found["dggn-run"] = dggn()
    found["up, zlib, level 1"] = up(lambda data: zlib.compress(data, 1))

    def add(name: str, make: Callable[[], Writer]) -> None:
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name}: left out ({error})")

    def compressor(module: str, level: int) -> Writer:
        library = import_module(module)
        return up(lambda data: library.compress(data, level))

    for level in (0, 1, 2):
        add(f"up, isal, level {level}", partial(compressor, "isal.isal_zlib", level))
    add("up, zlib-ng, level 1", partial(compressor, "zlib_ng.zlib_ng", 1))
    add("opencv, level 1", opencv)
    for name in ("none", "sub", "up"):
        add(f"pyvips, level 1, {name}", partial(vips, name))
    return found


def seconds(write: Writer, pictures: list[Samples], threads: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, pictures))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    sources = sorted(EXAMPLES.glob("*.jpg")) + sorted(EXAMPLES.glob("*.png"))
    with Upscaler(backend="cpu") as upscaler:
        pictures = []
        for path in sources:
            with Image.open(path) as image:
                image.thumbnail((320, 320))
                pictures.append(np.asarray(upscaler(image.convert("RGB"))))
    cores = usable_cores()
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures) / 1e6
    found = writers()
    taken: dict[tuple[str, int], list[float]] = {}
    for name, write in found.items():
        for picture in pictures:
            with Image.open(io.BytesIO(write(picture))) as image:
                np.testing.assert_array_equal(np.asarray(image), picture, err_msg=name)
    for _ in range(runs):
        for name, write in found.items():
            for threads in sorted({1, cores}):
                taken.setdefault((name, threads), []).append(
                    seconds(write, pictures * threads, threads) / threads
                )
    print(f"{len(pictures)} results of together {pixels:.1f} megapixels; medians of {runs} runs.")
    print(f"{platform.python_version()}, {cores} cores, zlib-ng in Pillow: ", end="")
    print(features.version_feature("zlib_ng") or "no", end="")
    for package in ("pillow", "numpy", "isal", "zlib-ng", "opencv-python-headless", "pyvips"):
        try:
            print(f", {package} {version(package)}", end="")
        except PackageNotFoundError:
            continue
    print(f"\n\n| writer | 1 thread, MP/s | {cores} threads, MP/s | bytes a pixel |")
    print("| --- | --- | --- | --- |")
    for name, write in found.items():
        size = sum(len(write(picture)) for picture in pictures) / 1e6 / pixels
        one, all_ = (pixels / statistics.median(taken[name, count]) for count in (1, cores))
        print(f"| {name} | {one:.1f} | {all_:.1f} | {size:.2f} |")


if __name__ == "__main__":
    main()
