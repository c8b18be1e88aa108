from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from runtime.backends.team import WAITING_TILES, DeviceTeam
from runtime.errors import BackendError, Cancelled, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Backend, Deliver
from tests.support.pipeline_bench import LIMIT_S, NearestUpscaler, within_limit
from tests.support.processes import wait_until


class Member:
    """Holds a few tiles back, and fails at a given one."""

    uniform_tiles = True
    largest_tile_px: int | None = None
    precision = "float32"
    info: ModelInfo = NearestUpscaler.info

    def __init__(self, name: str, *, fails_at: int | None = None, batch: int = 3) -> None:
        self.description = name
        self.fails_at = fails_at
        self.batch = batch
        self.taken = 0
        self.held: list[tuple[Samples, Deliver]] = []
        self.cancelled = threading.Event()
        self.before: Callable[[], None] = lambda: None
        self.failed = threading.Event()
        self.exited = False

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        self.before()
        if self.cancelled.is_set():
            raise Cancelled
        self.taken += 1
        self.held.append((tile_hwc, deliver))
        if self.taken == self.fails_at:
            self.failed.set()
            raise BackendError(f"{self.description} is on fire")
        if len(self.held) == self.batch:
            self.finish()

    def finish(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled
        while self.held:
            tile, deliver = self.held.pop()
            deliver(tile.repeat(4, axis=0).repeat(4, axis=1))

    def cancel(self) -> None:
        self.cancelled.set()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *exception: object) -> None:
        self.exited = True


def tile(number: int) -> Samples:
    return np.full((2, 2, 3), number % 256, np.uint8)


def run(team: DeviceTeam, count: int, *, finish_each: int = 10**9) -> dict[int, Samples]:
    results: dict[int, Samples] = {}

    def keep(number: int) -> Deliver:
        def deliver(result: Samples) -> None:
            assert number not in results, "delivered twice"
            results[number] = result

        return deliver

    for number in range(count):
        team.submit(tile(number), keep(number))
        if number % finish_each == finish_each - 1:
            team.finish()
            assert len(results) == number + 1
    team.finish()
    return results


def check(results: dict[int, Samples], count: int) -> None:
    assert sorted(results) == list(range(count))
    assert all((result == number % 256).all() for number, result in results.items())
    assert all(result.shape == (8, 8, 3) for result in results.values())


@pytest.mark.parametrize(("finish_each", "together"), [(1, 0), (7, 3), (10**9, 20)])
def test_the_work_is_shared(finish_each: int, together: int) -> None:
    """Each member waits for the other before its first tiles, so neither can take all."""
    members = [Member("one"), Member("two")]
    both = threading.Barrier(2, timeout=LIMIT_S)

    def wait_for_the_other(member: Member) -> None:
        if member.taken < together:
            both.wait()

    for member in members:
        member.before = partial(wait_for_the_other, member)
    with DeviceTeam(members, say=lambda line: None) as team:
        check(within_limit(lambda: run(team, 200, finish_each=finish_each)), 200)
        assert team.description == "one and two"
    assert sum(member.taken for member in members) == 200
    assert all(member.taken >= together for member in members)
    assert all(member.exited for member in members)


@pytest.mark.parametrize("fails_at", [1, 2, 3, 50])
def test_what_a_lost_device_had_is_done_by_the_others(fails_at: int) -> None:
    said: list[str] = []
    members = [Member("one", fails_at=fails_at), Member("two")]

    def wait_for_the_failure() -> None:
        if members[1].taken >= 10:
            assert members[0].failed.wait(LIMIT_S)

    members[1].before = wait_for_the_failure
    with DeviceTeam(members, say=said.append) as team:
        check(within_limit(lambda: run(team, 150)), 150)
    assert said == ["one failed, continuing without it: one is on fire"]


def test_when_all_are_lost_the_last_ones_error_is_raised() -> None:
    members = [Member("one", fails_at=4), Member("two", fails_at=5), Member("three", fails_at=1)]
    with (
        DeviceTeam(members, say=lambda line: None) as team,
        pytest.raises(BackendError, match="is on fire"),
    ):
        within_limit(lambda: run(team, 1000))


def test_the_queue_is_short() -> None:
    release = threading.Event()
    members = [Member("one"), Member("two")]
    for member in members:
        member.before = release.wait  # type: ignore[assignment]
    submitted = 0
    with DeviceTeam(members, say=lambda line: None) as team:

        def submit_all() -> None:
            nonlocal submitted
            for number in range(1000):
                team.submit(tile(number), lambda result: None)
                submitted += 1
            team.finish()

        thread = threading.Thread(target=submit_all, daemon=True)
        thread.start()
        try:
            wait_until(lambda: submitted >= 2 * WAITING_TILES)
            time.sleep(0.2)  # for more, if there were room
            assert submitted <= 2 * WAITING_TILES + 2
        finally:
            release.set()
        thread.join(LIMIT_S)
        assert submitted == 1000


def test_cancelling_ends_everybodys_waiting() -> None:
    members = [Member("one"), Member("two")]
    release = threading.Event()
    for member in members:
        member.before = release.wait  # type: ignore[assignment]
    with DeviceTeam(members, say=lambda line: None) as team:

        def cancel() -> None:
            team.cancel()
            release.set()

        timer = threading.Timer(0.1, cancel)
        timer.start()
        with pytest.raises(Cancelled):
            within_limit(lambda: run(team, 1000))
        with pytest.raises(Cancelled, match="open a new one"):
            team.finish()
        timer.join()


def test_what_delivering_raises_is_not_a_devices_failure() -> None:
    said: list[str] = []
    members = [Member("one"), Member("two")]

    def refuse(result: Samples) -> None:
        raise ZeroDivisionError("oops")

    with DeviceTeam(members, say=said.append) as team:
        team.submit(tile(0), refuse)
        with pytest.raises(ZeroDivisionError):
            within_limit(team.finish)
    assert said == []


def test_16_bits_are_refused_before_they_are_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    with DeviceTeam([Member("one")], say=lambda line: None) as team:
        with pytest.raises(ImageError, match="takes 8-bit samples"):
            team.submit(tile(0).astype(np.uint16), lambda result: None)
        check(within_limit(lambda: run(team, 5)), 5)
