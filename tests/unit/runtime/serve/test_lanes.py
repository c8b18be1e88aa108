"""Tiles of many requests over one backend."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

from runtime.errors import BackendError, Cancelled, ImageError
from runtime.image.picture import Picture
from runtime.serve.lanes import Feeder, Lane
from tests.support.pipeline_bench import within_limit
from tests.support.processes import wait_until
from tests.support.serve_bench import GatedBackend, noise, upscaler_over


def tile(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


def ignore(result: object) -> None:
    """Ignore a result."""


@pytest.fixture
def backend() -> GatedBackend:
    return GatedBackend()


def held(backend: GatedBackend, feeder: Feeder) -> Lane:
    """Close the gate while the feeder waits with a tile."""
    backend.gate.clear()
    first = feeder.lane()
    first.submit(tile(0), ignore)
    wait_until(backend.waits.is_set)
    return first


def order(backend: GatedBackend) -> list[int]:
    return [int(one[0, 0, 0]) for one in backend.taken]


def test_many_threads_get_what_each_alone_would(backend: GatedBackend) -> None:
    feeder = Feeder(backend)
    upscaler = upscaler_over(backend)
    pictures = [noise(20 + 7 * number, 30, number) for number in range(6)]
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        mine = upscaler.over(feeder.lane(number % 2))
        results[number] = mine.upscale_picture(Picture(rgb_hwc=pictures[number])).rgb_hwc

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        within_limit(thread.join)
    for number, picture in enumerate(pictures):
        np.testing.assert_array_equal(results[number], picture.repeat(2, 0).repeat(2, 1))
    assert len(backend.threads) == 1, "one thread owns the backend"
    assert threading.get_ident() not in backend.threads
    feeder.close()


def test_a_small_picture_does_not_wait_for_a_large_one(backend: GatedBackend) -> None:
    feeder = Feeder(backend)
    first = held(backend, feeder)
    large, small = feeder.lane(), feeder.lane()
    for _ in range(100):
        large.submit(tile(1), ignore)
    for _ in range(3):
        small.submit(tile(2), ignore)
    backend.gate.set()
    within_limit(small.finish)
    within_limit(large.finish)
    within_limit(first.finish)
    assert order(backend)[:8] == [0, 1, 2, 1, 2, 1, 2, 1]
    feeder.close()


def test_ranks_take_turns_whatever_the_number_of_their_lanes(backend: GatedBackend) -> None:
    feeder = Feeder(backend)
    held(backend, feeder)
    many = [feeder.lane(rank=1) for _ in range(5)]
    for lane in many:
        for _ in range(4):
            lane.submit(tile(1), ignore)
    one = feeder.lane(rank=0)
    for _ in range(3):
        one.submit(tile(2), ignore)
    backend.gate.set()
    within_limit(one.finish)
    assert order(backend)[:7] == [0, 1, 2, 1, 2, 1, 2]
    feeder.close()


def test_a_lane_that_is_given_up_frees_its_turns(backend: GatedBackend) -> None:
    feeder = Feeder(backend)
    held(backend, feeder)
    gone, other = feeder.lane(), feeder.lane()
    results: list[object] = []
    for _ in range(50):
        gone.submit(tile(1), results.append)
    other.submit(tile(2), ignore)
    gone.cancel()
    backend.gate.set()
    within_limit(other.finish)
    assert order(backend) == [0, 2]
    assert results == []
    for call in (gone.finish, lambda: gone.submit(tile(1), ignore)):
        with pytest.raises(Cancelled):
            call()
    feeder.close()


def test_what_is_at_work_when_its_lane_is_given_up_is_not_delivered(backend: GatedBackend) -> None:
    feeder = Feeder(backend)
    results: list[object] = []
    backend.gate.clear()
    gone = feeder.lane()
    gone.submit(tile(1), results.append)
    wait_until(backend.waits.is_set)
    gone.cancel()
    backend.gate.set()
    other = feeder.lane()
    other.submit(tile(2), ignore)
    within_limit(other.finish)
    assert results == []
    feeder.close()


def test_a_pictures_own_error_leaves_the_others_alone(backend: GatedBackend) -> None:
    feeder = Feeder(backend)
    backend.error = ImageError("the model takes 8 bits")
    lane = feeder.lane()
    lane.submit(tile(1), ignore)
    with pytest.raises(ImageError, match="8 bits"):
        within_limit(lane.finish)
    other = feeder.lane()
    other.submit(tile(2), ignore)
    within_limit(other.finish)
    feeder.close()


def test_what_a_request_raises_at_its_result_is_its_own(backend: GatedBackend) -> None:
    feeder = Feeder(backend)

    def raise_error(result: object) -> None:
        raise MemoryError

    lane, other = feeder.lane(), feeder.lane()
    lane.submit(tile(1), raise_error)
    other.submit(tile(2), ignore)
    with pytest.raises(MemoryError):
        within_limit(lane.finish)
    within_limit(other.finish)
    feeder.close()


def test_a_broken_backend_ends_every_lane(backend: GatedBackend) -> None:
    failures: list[BaseException] = []
    feeder = Feeder(backend, on_failure=failures.append)
    backend.error = BackendError("on fire")
    lane = feeder.lane()
    lane.submit(tile(1), ignore)
    with pytest.raises(BackendError, match="on fire"):
        within_limit(lane.finish)
    wait_until(lambda: failures)
    with pytest.raises(BackendError, match="on fire"):
        feeder.lane().submit(tile(2), ignore)


def test_closing_ends_those_who_wait(backend: GatedBackend) -> None:
    failures: list[BaseException] = []
    feeder = Feeder(backend, on_failure=failures.append)
    lane = held(backend, feeder)
    closing = threading.Thread(target=feeder.close)
    closing.start()
    with pytest.raises(Cancelled):
        within_limit(lane.finish)
    within_limit(closing.join)
    assert failures == [], "closing is no failure"
