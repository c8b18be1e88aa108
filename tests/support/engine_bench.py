"""A TensorRT backend on a simulated device, and tiles for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime.backends.trt.backend import EngineFile, TrtBackend
from runtime.image.picture import Samples
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_tensorrt import GPU, INFO, FakeTensorRT, nearest

FLOAT_INFO = replace(INFO, sample_type="float32")
TILE_PX, BATCH, SLOTS = 16, 4, 3


class Bench:
    """A backend over fakes, with its messages and results."""

    def __init__(self, folder: Path, tensorrt: FakeTensorRT, device: FakeDevice) -> None:
        self.folder = folder
        self.tensorrt = tensorrt
        self.device = device
        self.said: list[str] = []
        self.results: dict[int, Samples] = {}
        self.smaller: list[EngineFile] = []

    def open(self, **options: Any) -> TrtBackend:
        return TrtBackend(
            self.tensorrt.engine_file(self.folder, tile_px=TILE_PX, batch=BATCH),
            self.tensorrt.library,
            self.device,
            GPU,
            say=self.said.append,
            smaller=lambda _: self.smaller.pop(0) if self.smaller else None,
            **options,
        )

    def submit(self, backend: TrtBackend, number: int, tile: Samples) -> None:
        def keep(result: Samples) -> None:
            assert number not in self.results, "delivered twice"
            self.results[number] = result.copy()

        backend.submit(tile, keep)

    def submit_all(self, backend: TrtBackend, tiles: list[Samples]) -> None:
        for number, tile in enumerate(tiles):
            self.submit(backend, number, tile)

    def check(self, tiles: list[Samples]) -> None:
        assert sorted(self.results) == list(range(len(tiles)))
        for number, tile in enumerate(tiles):
            np.testing.assert_array_equal(self.results[number], nearest(tile[None])[0])


class Said(list[str]):
    """Collects messages, and passes each to a function."""

    def __init__(self, to: Callable[[str], None]) -> None:
        super().__init__()
        self._to = to

    def append(self, line: str) -> None:
        super().append(line)
        self._to(line)


def tile(seed: int, height: int = TILE_PX, width: int = TILE_PX, *, deep: bool = False) -> Samples:
    kind = np.uint16 if deep else np.uint8
    high = 65536 if deep else 256
    generator = np.random.default_rng(seed)
    result: Samples = generator.integers(0, high, (height, width, 3)).astype(kind)
    return result
