"""Batches on a device: in any order of work, every tile is delivered once and correctly."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.backends.trt.backend import TrtBackend
from runtime.errors import BackendError, OutOfDeviceMemory
from runtime.image.picture import Samples
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_tensorrt import GPU, FakeTensorRT, nearest

SHAPES = [(16, 16), (16, 8), (4, 4), (1, 3), (24, 20)]

tiles_of = st.lists(st.sampled_from(SHAPES), max_size=40)
"""Submitted tiles."""

times = st.sets(st.integers(1, 20), max_size=2)
"""Runs of the engine at which something happens."""


class Script:
    """Numbers of the streams that progress each time the host polls."""

    def __init__(self, choices: list[int]) -> None:
        self.choices = choices

    def __call__(self, count: int) -> int | None:
        choice = self.choices.pop() if self.choices else -1
        return None if choice < 0 else choice % count


def run(
    shapes: list[tuple[int, int]],
    device: FakeDevice,
    tensorrt: FakeTensorRT,
    *,
    slots: int,
    finish_after: set[int],
) -> dict[int, Samples]:
    """Submit tiles; check and return what was delivered before an error."""
    tiles = [
        np.random.default_rng(number).integers(0, 256, (*shape, 3)).astype(np.uint8)
        for number, shape in enumerate(shapes)
    ]
    results: dict[int, Samples] = {}

    def submit(number: int) -> None:
        def keep(result: Samples) -> None:
            assert number not in results, "delivered twice"
            results[number] = result.copy()

        backend.submit(tiles[number], keep)

    with tempfile.TemporaryDirectory() as folder:
        file = tensorrt.engine_file(Path(folder), tile_px=16, batch=3)
        try:
            with TrtBackend(
                file, tensorrt.library, device, GPU, say=lambda line: None, slots=slots
            ) as backend:
                for number in range(len(tiles)):
                    submit(number)
                    if number in finish_after:
                        backend.finish()
                        assert len(results) == number + 1
                backend.finish()
                assert len(results) == len(tiles)
        finally:
            assert device.closed
            assert not device.living
            assert not tensorrt.orphans
            for number, result in results.items():
                np.testing.assert_array_equal(result, nearest(tiles[number][None])[0])
    return results


@given(
    shapes=tiles_of,
    choices=st.lists(st.integers(-1, 5), max_size=200),
    slots=st.integers(1, 4),
    finish_after=st.sets(st.integers(0, 39), max_size=3),
    graphs=st.booleans(),
)
def test_any_order_of_completion(
    shapes: list[tuple[int, int]],
    choices: list[int],
    slots: int,
    finish_after: set[int],
    graphs: bool,
) -> None:
    device = FakeDevice(choose=Script(choices), graphs=graphs)
    allocations = []
    device.on_wait = lambda: allocations.append(device.allocations)
    run(shapes, device, FakeTensorRT(), slots=slots, finish_after=finish_after)
    assert len(set(allocations)) <= 1, "something was allocated at work"


@given(shapes=tiles_of, choices=st.lists(st.integers(-1, 5), max_size=100), short=times)
def test_memory_that_runs_out_anywhere(
    shapes: list[tuple[int, int]], choices: list[int], short: set[int]
) -> None:
    tensorrt = FakeTensorRT()
    tensorrt.out_of_memory_at = set(short)
    run(shapes, FakeDevice(choose=Script(choices)), tensorrt, slots=3, finish_after=set())


@given(shapes=tiles_of, fails_at=st.integers(1, 100), refuses=times)
def test_failures_anywhere_free_everything(
    shapes: list[tuple[int, int]], fails_at: int, refuses: set[int]
) -> None:
    tensorrt = FakeTensorRT()
    tensorrt.refuses_at = set(refuses)
    device = FakeDevice()
    device.fails_at = fails_at
    try:
        run(shapes, device, tensorrt, slots=3, finish_after=set())
    except OutOfDeviceMemory:
        raise
    except BackendError as error:
        assert "ILLEGAL_ADDRESS" in str(error) or "internal error" in str(error)  # noqa: PT017
