"""The TensorRT backend when memory runs out."""

from __future__ import annotations

import threading

import pytest

from runtime.errors import OutOfDeviceMemory
from tests.support.engine_bench import Bench, Said, tile


def test_too_little_memory_at_the_start_takes_slots_away(bench: Bench) -> None:
    bench.tensorrt.context_bytes = 10_000_000
    bench.device.memory_bytes = 25_000_000
    tiles = [tile(number) for number in range(30)]
    with bench.open() as backend:
        assert bench.said == ["Fake GPU is low on memory: continuing with 2 batches at once"]
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)


def test_contexts_are_given_back_before_the_memory_they_use(bench: Bench) -> None:
    with bench.open() as backend:
        bench.submit_all(backend, [tile(number) for number in range(30)])
    assert bench.device.closed
    assert bench.tensorrt.orphans == 0


def test_too_little_memory_for_anything(bench: Bench) -> None:
    bench.device.memory_bytes = 1
    with pytest.raises(OutOfDeviceMemory, match="one batch of 4 tiles of 16 px.*Close other"):
        bench.open()
    assert bench.device.closed


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6, 7])
def test_memory_that_runs_out_at_work_loses_no_tile(bench: Bench, at: int) -> None:
    bench.tensorrt.out_of_memory_at = {at, at + 1}
    tiles = [tile(number) for number in range(50)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    assert bench.said == [
        "Fake GPU is low on memory: continuing with 2 batches at once",
        "Fake GPU is low on memory: continuing with 1 batch at once",
    ]


def test_want_of_memory_is_seen_before_what_followed_from_it(bench: Bench) -> None:
    def refuse(reason: str) -> bool:
        for line in (reason, "enqueue failed", "Broadcast failed", "shape 1", "shape 2"):
            bench.tensorrt.messages.add("error", line)
        return False

    bench.tensorrt.refuse = refuse  # type: ignore[method-assign]
    bench.tensorrt.out_of_memory_at = {3}
    tiles = [tile(number) for number in range(50)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    assert bench.said == ["Fake GPU is low on memory: continuing with 2 batches at once"]


def test_memory_that_runs_out_is_answered_with_smaller_engines(bench: Bench) -> None:
    bench.smaller = [
        bench.tensorrt.engine_file(bench.folder, batch=2),
        bench.tensorrt.engine_file(bench.folder, tile_px=12, batch=1),
    ]
    bench.tensorrt.out_of_memory_at = set(range(5, 11))
    tiles = [tile(number) for number in range(50)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
        assert backend.largest_tile_px == 12
    bench.check(tiles)
    assert (
        bench.said[-1] == "Fake GPU is low on memory: continuing with batches of 1 tiles of 12 px"
    )


def test_threads_that_submit_while_memory_runs_out_lose_no_tile(bench: Bench) -> None:
    bench.tensorrt.out_of_memory_at = {2, 3}
    tiles = [tile(number) for number in range(50)]
    others: list[threading.Thread] = []

    def say(line: str) -> None:
        """Called while the backend frees memory: another tile arrives at this moment."""
        number = len(tiles) - 1 - len(others)
        others.append(threading.Thread(target=bench.submit, args=(backend, number, tiles[number])))
        others[-1].start()
        others[-1].join(0.1)

    bench.said = Said(say)
    with bench.open() as backend:
        for number in range(48):
            bench.submit(backend, number, tiles[number])
        for thread in others:
            thread.join()
        backend.finish()
    assert len(others) == 2
    bench.check(tiles)
