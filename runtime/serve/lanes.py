"""One backend shared by many requests: tiles take turns, and each request can drop its own.

request's thread  ->  its lane  ->  one feeder thread  ->  the backend
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from runtime.errors import Cancelled, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Backend, Deliver


@dataclass(frozen=True, eq=False)
class _Tile:
    """A tile waiting for its turn."""

    tile_hwc: Samples
    deliver: Deliver


class Feeder:
    """Feeder of a backend, from a thread of its own, which alone calls it.

    Lanes of one rank take turns tile by tile, and so do the ranks, so that a request waits for
    as many tiles as there are requests at work, however large those are.

    Args:
        backend: the feeder never closes it.
        on_failure: told, from the feeder's thread, what ended the work of all lanes.
    """

    def __init__(
        self, backend: Backend, *, on_failure: Callable[[BaseException], None] = lambda error: None
    ) -> None:
        self.backend = backend
        self.guard = threading.RLock()
        """Held while anything of the feeder or of a lane changes."""
        self._has_work = threading.Condition(self.guard)
        self._lanes: weakref.WeakSet[Lane] = weakref.WeakSet()
        self._on_failure = on_failure
        self._ranks: dict[int, deque[Lane]] = {}  # lanes with tiles, both in the order of turns
        self._in_backend = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def lane(self, rank: int = 0) -> Lane:
        """Return a backend for one request.

        Args:
            rank: lanes of one rank share its turns.
        """
        lane = Lane(self, rank)
        with self.guard:
            self._lanes.add(lane)
        return lane

    def enqueue(self, lane: Lane) -> None:
        """Give a lane a place in the order of turns; the lock is held.

        Raises:
            BaseException: what ended the work of all lanes.
        """
        if self._failure is not None:
            raise self._failure
        lanes = self._ranks.setdefault(lane.rank, deque())
        if lane not in lanes:
            lanes.append(lane)
        self._has_work.notify()

    def drop(self, lane: Lane) -> None:
        """Remove a lane from the order of turns; the lock is held."""
        lanes = self._ranks.get(lane.rank)
        if lanes and lane in lanes:
            lanes.remove(lane)
            if not lanes:
                del self._ranks[lane.rank]

    def check(self) -> None:
        """Raise what ended the work of all lanes, if anything; the lock is held."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop feeding: every lane's work ends with `Cancelled`."""
        self._end(Cancelled("the server is stopping"))
        self.backend.cancel()
        self._thread.join()

    def _work(self) -> None:
        try:
            while True:
                lane, tile = self._next()
                if lane is None or tile is None:
                    self.backend.finish()
                else:
                    self._feed(lane, tile)
        except BaseException as error:  # noqa: BLE001 - raised in every lane
            if self._end(error):
                self._on_failure(error)

    def _next(self) -> tuple[Lane | None, _Tile | None]:
        """Return the next tile and its lane; none if the backend should deliver its results first.

        Raises:
            BaseException: the work has ended.
        """
        with self._has_work:
            self._has_work.wait_for(lambda: self._failure or self._ranks or self._in_backend)
            self.check()
            if not self._ranks:
                return None, None
            rank, lanes = next(iter(self._ranks.items()))
            del self._ranks[rank]
            lane = lanes.popleft()
            tile = lane.waiting.popleft()
            if lane.waiting:
                lanes.append(lane)
            if lanes:
                self._ranks[rank] = lanes
            self._in_backend += 1
            return lane, tile

    def _feed(self, lane: Lane, tile: _Tile) -> None:
        try:
            self.backend.submit(tile.tile_hwc, partial(self._deliver, lane, tile))
        except ImageError as error:  # this picture's own, and the backend has not taken the tile
            self._leave()
            lane.fail(error)

    def _deliver(self, lane: Lane, tile: _Tile, result: Samples) -> None:
        try:
            lane.deliver(tile.deliver, result)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self.guard:
            self._in_backend -= 1

    def _end(self, failure: BaseException) -> bool:
        """Fail all lanes.

        Returns:
            Whether it had not ended before; the first reason counts.
        """
        with self._has_work:
            is_first = self._failure is None
            if is_first:
                self._failure = failure
            self._ranks.clear()
            self._has_work.notify()
            for lane in self._lanes:
                lane.changed.notify_all()
            return is_first


class Lane:
    """One request's share of a backend, which only its request cancels; itself a backend."""

    def __init__(self, feeder: Feeder, rank: int) -> None:
        self.rank = rank
        self.waiting: deque[_Tile] = deque()
        # Its own, so that a tile wakes nobody but the request that waits for it.
        self.changed = threading.Condition(feeder.guard)
        self._feeder = feeder
        self._undelivered = 0
        self._failure: BaseException | None = None

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        return self._feeder.backend.info

    @property
    def uniform_tiles(self) -> bool:
        """Whether one tile shape for all pictures is faster than smaller tiles."""
        return self._feeder.backend.uniform_tiles

    @property
    def description(self) -> str:
        """Human-readable name of the library and device."""
        return self._feeder.backend.description

    @property
    def precision(self) -> str:
        """Precision of most of the work on 8-bit pictures."""
        return self._feeder.backend.precision

    @property
    def largest_tile_px(self) -> int | None:
        """Height and width of the largest fast tile; None if any size is equally fast."""
        return self._feeder.backend.largest_tile_px

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Queue a tile; see :class:`runtime.tiles.backend.Backend`."""
        with self.changed:
            self._check()
            self.waiting.append(_Tile(tile_hwc, deliver))
            self._undelivered += 1
            self._feeder.enqueue(self)

    def finish(self) -> None:
        """Wait until all of this lane's tiles are delivered."""
        with self.changed:
            while self._undelivered:
                self._check()
                self.changed.wait()
            self._check()

    def cancel(self) -> None:
        """Drop this lane's tiles, and make every running and later call raise `Cancelled`."""
        self.fail(Cancelled("the request was abandoned"))

    def fail(self, failure: BaseException) -> None:
        """Give up this lane's tiles; the first reason counts."""
        with self.changed:
            self._failure = self._failure or failure
            self.waiting.clear()
            self._feeder.drop(self)
            self.changed.notify_all()

    def deliver(self, deliver: Deliver, result: Samples) -> None:
        """Deliver the result of a tile; an exception fails only this lane."""
        if self._failure is not None:
            return
        try:
            deliver(result)
        except BaseException as error:  # noqa: BLE001 - raised in the request's thread
            self.fail(error)
        with self.changed:
            self._undelivered -= 1
            if not self._undelivered:
                self.changed.notify_all()

    def __enter__(self) -> Lane:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()

    def _check(self) -> None:
        self._feeder.check()
        if self._failure is not None:
            raise self._failure
