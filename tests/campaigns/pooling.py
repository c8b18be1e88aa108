"""Quality and seams of each area for SE's mean, with one set of weights.

    python -m tests.campaigns.pooling BENCHMARK... [--model NAME]

A benchmark is a folder with `HR` pictures; their reductions are made. Prints Markdown rows:

- window: as trained and shipped, the mean of a local window on a grid fixed to the picture;
- picture: one mean for the whole picture, given to every tile (image-level gates);
- tile: the mean of whatever tile is fed, which is what plain tiling of a global SE does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import dggn
from dggn.data.pairs import read_pairs
from dggn.metrics.fidelity import peak_signal_noise_ratio
from dggn.model.blocks import WindowedSqueezeExcitation
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from runtime.backends.onnxruntime import OrtBackend
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo, model_path
from runtime.tiles.backend import Deliver
from runtime.tiles.stitch import upscale_in_tiles
from tests.campaigns.seams import half_black_half_noise

HALO_PX = 16
TILE_PX = 128


@dataclass
class TorchBackend:
    """A torch generator as a backend."""

    generator: Generator
    info: ModelInfo
    uniform_tiles: bool = False
    largest_tile_px: int | None = None
    precision = "float32"
    description: str = "torch"

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        assert tile_hwc.dtype == np.uint8
        deliver(super_resolve(self.generator, tile_hwc.astype(np.uint8, copy=False)))

    def finish(self) -> None: ...

    def cancel(self) -> None: ...

    def __enter__(self) -> TorchBackend:
        return self

    def __exit__(self, *exception: object) -> None: ...


def gates_of_mean(block: WindowedSqueezeExcitation, features: Tensor) -> Tensor:
    """The gates of a global SE with the same weights."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    return torch.sigmoid(block.excite(torch.relu(block.squeeze(mean))))


def use_global_mean(generator: Generator) -> None:
    """Make every SE block average over its whole input."""
    for block in generator.modules():
        if isinstance(block, WindowedSqueezeExcitation):

            def forward(features: Tensor, block: WindowedSqueezeExcitation = block) -> Tensor:
                return features * gates_of_mean(block, features)

            block.forward = forward  # type: ignore[method-assign]


def use_picture_gates(generator: Generator, image: NDArray[np.uint8]) -> None:
    """Make every SE block use the gates of the whole picture."""
    use_global_mean(generator)
    fixed: dict[int, Tensor] = {}
    blocks = [m for m in generator.modules() if isinstance(m, WindowedSqueezeExcitation)]
    for block in blocks:

        def record(features: Tensor, block: WindowedSqueezeExcitation = block) -> Tensor:
            fixed[id(block)] = gates_of_mean(block, features)
            return features * fixed[id(block)]

        block.forward = record  # type: ignore[method-assign]
    super_resolve(generator, image)
    for block in blocks:

        def replay(features: Tensor, block: WindowedSqueezeExcitation = block) -> Tensor:
            return features * fixed[id(block)]

        block.forward = replay  # type: ignore[method-assign]


def seam(whole: Generator, tiled: Generator, info: ModelInfo) -> tuple[int, float]:
    """Largest and mean difference in grey levels on half black, half noise."""
    image = half_black_half_noise()
    expected = super_resolve(whole, image)
    result = upscale_in_tiles(image, TorchBackend(tiled, info), tile_size=TILE_PX, overlap=HALO_PX)
    difference = np.abs(result.astype(np.int16) - expected)
    return int(difference.max()), float(difference.mean())


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmarks", nargs="+", type=Path)
    parser.add_argument("--model", default="dggn-lite")
    arguments = parser.parse_args()
    with OrtBackend(model_path(arguments.model)) as backend:
        info = backend.info
    window, pooled, gated = (dggn.load(arguments.model) for _ in range(3))
    use_global_mean(pooled)
    use_picture_gates(gated, half_black_half_noise())
    ways: list[tuple[str, Generator, Callable[[], tuple[int, float]]]] = [
        ("window", window, lambda: seam(window, window, info)),
        ("picture", pooled, lambda: seam(pooled, gated, info)),
        ("tile", pooled, lambda: seam(pooled, pooled, info)),
    ]
    names = [
        folder.name if folder.name != "HR" else folder.parent.name
        for folder in arguments.benchmarks
    ]
    print(f"| mean over | {' | '.join(f'{name}, dB' for name in names)} | seam max | seam mean |")
    print("| --- |" + " --- |" * (len(names) + 2))
    for way, generator, measure in ways:
        scores = []
        for folder in arguments.benchmarks:
            values = [
                peak_signal_noise_ratio(super_resolve(generator, pair.lr_hwc), pair.hr_hwc)
                for pair in read_pairs([folder])
            ]
            scores.append(f"{np.mean(values):.3f}")
        largest, mean = measure()
        print(f"| {way} | {' | '.join(scores)} | {largest} | {mean:.4f} |", flush=True)


if __name__ == "__main__":
    main()
