"""Measures how many training pairs per second the loader makes from a prepared set.

    python tests/benchmarks/loader.py [--pictures FOLDER] [--threads 2] [--seconds 5]

Prepares FOLDER (by default a few synthetic 2040x1356 pictures) in a temporary folder and draws
48/192 crops with all eight flips and turns in batches of 16; at least 2,000 pairs a second are
expected of two cores. Beside that, what the same crops cost as training takes them, cut outside
and on the device (`resident`; here the CPU is the device), what they would cost from PNG files, and
what the `photo` degradation costs. Results: docs/benchmarks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from platform import python_version

import numpy as np
import PIL
from PIL import Image

from dggn.data.crops import CropSampler
from dggn.data.folder import read_rgb
from dggn.data.pairs import Pair, read_pairs
from dggn.data.prefetch import Prefetcher
from dggn.data.prepared import PrepareOptions
from dggn.training.prepare import prepare

BATCH_SIZE = 16
PATCH_LR_PX = 48


def synthetic_pictures(folder: Path) -> Path:
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(4):
        small = random.integers(0, 256, (85, 128, 3)).astype(np.uint8)
        Image.fromarray(small).resize((2040, 1356)).save(folder / f"{number}.png")
    return folder


def pairs_per_s(make: Callable[[int], object], seconds: float) -> tuple[float, float]:
    """By wall time and by CPU time; the latter is meaningful on a busy machine too."""
    make(0)
    began_s, began_cpu_s, step = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began_s < seconds:
        step += 1
        make(step)
    pairs = step * BATCH_SIZE
    return pairs / (time.perf_counter() - began_s), pairs / (time.process_time() - began_cpu_s)


def sampler(pairs: list[Pair], degradation: str = "bicubic") -> CropSampler:
    return CropSampler(
        pairs, batch_size=BATCH_SIZE, patch_lr_px=PATCH_LR_PX, seed=0, degradation=degradation
    )


def from_png(folder: Path, pairs: list[Pair]) -> Callable[[int], object]:
    for pair in pairs[:32]:
        path = folder / f"{pair.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pair.hr_hwc).save(path)
    paths = sorted(folder.rglob("*.png"))
    return lambda step: [
        read_rgb(paths[(step * BATCH_SIZE + number) % len(paths)]) for number in range(BATCH_SIZE)
    ]


def show(label: str, rates: tuple[float, float]) -> None:
    print(f"{label:<28}{rates[0]:8.0f} pairs/s{rates[1]:8.0f} a processor second")


def report_batches(pairs: list[Pair], threads: int, seconds: float) -> None:
    """Report pairs as float tensors in [0, 1], made in the training thread."""
    from dataclasses import replace

    import torch

    from dggn.training.batches import open_batches
    from dggn.training.config import DataConfig
    from dggn.training.parallel import ProcessContext

    torch.set_num_threads(1)
    process = ProcessContext(device=torch.device("cpu"))
    config = DataConfig(batch_size=BATCH_SIZE)
    with open_batches(config, 0, pairs, process, workers=threads) as batches:
        show("the same as float tensors", pairs_per_s(batches.batch, seconds))
    resident = replace(config, resident=True)
    with open_batches(resident, 0, pairs, process, workers=threads) as batches:
        show("resident, on the CPU", pairs_per_s(batches.batch, seconds))
        # The CPU's remaining work if a GPU gathers the pixels.
        show("resident, places alone", pairs_per_s(batches._make, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {python_version()}, numpy {np.__version__}, Pillow {PIL.__version__}, ", end="")
    print(f"{cores} cores, {options.threads} threads")
    with tempfile.TemporaryDirectory() as work:
        pictures = options.pictures or synthetic_pictures(Path(work, "pictures"))
        began_s = time.perf_counter()
        prepare(pictures, Path(work, "set"), PrepareOptions(), on_source=lambda _: None)
        pairs = read_pairs([Path(work, "set")])
        print(f"prepared {len(pairs)} sub-images in {time.perf_counter() - began_s:.1f} s")

        def report(label: str, make: Callable[[int], object]) -> None:
            with Prefetcher(make, workers=options.threads) as ahead:
                show(label, pairs_per_s(ahead.batch, options.seconds))

        report("prepared set", sampler(pairs).batch)
        if find_spec("torch"):
            report_batches(pairs, options.threads, options.seconds)
        report("decoding HR from PNG alone", from_png(Path(work, "png"), pairs))
        report("photo degradation", sampler(pairs, "photo").batch)


if __name__ == "__main__":
    main()
