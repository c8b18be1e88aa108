from __future__ import annotations

import threading

import pytest

from dggn.data.prefetch import Prefetcher


def test_batches_are_those_of_the_maker() -> None:
    made: list[int] = []
    lock = threading.Lock()

    def make(step: int) -> int:
        with lock:
            made.append(step)
        return step * step

    with Prefetcher(make, workers=2, ahead=3) as ahead:
        assert [ahead.batch(step) for step in range(5, 15)] == [s * s for s in range(5, 15)]
        assert ahead.batch(100) == 10_000
        assert ahead.batch(5) == 25
    assert made.count(6) >= 1
    assert all(made.count(step) == 1 for step in range(10, 15))


def test_a_makers_error_arrives_where_the_batch_is_asked_for() -> None:
    def make(step: int) -> int:
        return 1 // (step - 2)

    with Prefetcher(make) as ahead:
        assert ahead.batch(0) == -1
        with pytest.raises(ZeroDivisionError):
            ahead.batch(2)
