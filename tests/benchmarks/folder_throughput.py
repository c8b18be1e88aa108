"""Times the whole `dggn-run` command against bare inference of the same tiles, with ONNX Runtime.

    python tests/benchmarks/folder_throughput.py PHOTOGRAPHS [--side 648] [--runs 5]

Reduces 12 photographs of a folder to 648 px, about 0.3 megapixels, then alternates between the two
and prints the medians and the ratio of each pair as Markdown. The command includes the start of
Python, loading the model, decoding, PNG encoding and the resume journal; bare inference is
`InferenceSession.run` alone, with the same thread budget.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.backends.onnxruntime import OrtBackend
from runtime.model.info import DEFAULT_MODEL, model_path
from runtime.system.cores import usable_cores
from runtime.tiles.plan import default_tile_px
from runtime.tiles.stitch import plan_for

PHOTOGRAPHS = 12
LONG_SIDE_PX = 648
GOAL = 1.15


def make_photographs(source: Path, folder: Path, side_px: int = LONG_SIDE_PX) -> list[Path]:
    """Reduce the first photographs of a folder to a longer side, as JPEG files."""
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    made: list[Path] = []
    for path in paths:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        scale = side_px / max(image.size)
        if scale > 1 or image.width * image.height * scale**2 < 250_000:
            continue
        size = (round(image.width * scale), round(image.height * scale))
        target = folder / f"{len(made):02}.jpg"
        image.resize(size, Image.Resampling.LANCZOS).save(target, quality=95)
        made.append(target)
        if len(made) == PHOTOGRAPHS:
            return made
    raise SystemExit(f"{source} holds {len(made)} large photographs: expected {PHOTOGRAPHS}")


def bare_inference_s(paths: list[Path]) -> float:
    """Time `InferenceSession.run` alone, over the tiles that dggn-run would cut."""
    with OrtBackend(model_path(DEFAULT_MODEL)) as backend:
        session, info = backend._session, backend.info
        batches = []
        for path in paths:
            with Image.open(path) as opened:
                image = np.asarray(opened.convert("RGB"))
            plan = plan_for(
                (image.shape[0], image.shape[1]),
                backend,
                tile_size=default_tile_px(info.halo_px),
                overlap=info.halo_px,
            )
            height, width = plan.padded_hw
            padding = ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0))
            padded = np.pad(image, padding, mode="edge").transpose(2, 0, 1)[None] / np.float32(255)
            batches += [
                np.ascontiguousarray(padded[(slice(None), slice(None), *tile.fed)]) for tile in plan
            ]
        session.run(None, {"input": batches[0]})
        start = time.perf_counter()
        for batch in batches:
            session.run(None, {"input": batch})
        return time.perf_counter() - start


def command_s(folder: Path, output: Path) -> float:
    """Time the whole command, PNG included."""
    command = [sys.executable, "-c", "from runtime.cli import app; app()"]
    start = time.perf_counter()
    options = ["--backend", "onnxruntime", "--format", "png", "--quiet"]
    subprocess.run([*command, folder, output, *options], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--side", type=int, default=LONG_SIDE_PX, help="longer side in pixels")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        paths = make_photographs(arguments.photographs, folder, arguments.side)
        pixels = 0
        for path in paths:
            with Image.open(path) as opened:
                pixels += opened.width * opened.height
        rows = []
        for run in range(arguments.runs):
            bare = bare_inference_s(paths)
            whole = command_s(folder, Path(name) / f"out{run}")
            rows.append((bare, whole, whole / bare))
            print(f"bare {bare:.2f} s, command {whole:.2f} s, {whole / bare:.3f}", file=sys.stderr)
    bare, whole, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    versions = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "pillow", "numpy"))
    print(f"{PHOTOGRAPHS} photographs, {pixels / 1e6:.2f} LR megapixels, {usable_cores()} cores")
    print(f"Python {platform.python_version()}, {versions}")
    print()
    print("| runs | bare inference | whole command | ratio (goal) | output |")
    print("| --- | --- | --- | --- | --- |")
    speed = 16 * pixels / 1e6 / whole
    print(
        f"| {len(rows)} | {bare:.2f} s | {whole:.2f} s | {ratio:.3f} ({GOAL}) | {speed:.2f} MP/s |"
    )


if __name__ == "__main__":
    main()
