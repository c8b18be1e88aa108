"""Several devices that share one queue of tiles."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from runtime.errors import BackendError, Cancelled, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Backend, Deliver

WAITING_TILES = 32
"""Queue length per device, long enough that none waits for the host."""


@dataclass(eq=False)
class _Work:
    """A tile in the queue."""

    tile_hwc: Samples
    deliver: Deliver


class DeviceTeam:
    """Backend that distributes tiles over several others, each in its own thread.

    A backend that fails hands back what it has not delivered, and the others go on; when all have
    failed, so does the team.

    Args:
        members: at least one, of the same model; the team closes them.
        say: receives a message when a device is lost.
    """

    def __init__(self, members: Sequence[Backend], *, say: Callable[[str], None]) -> None:
        self._members = members
        self._say = say
        self._changed = threading.Condition()
        self._queue: deque[_Work] = deque()
        self._undelivered = 0
        self._finishing = False
        self._ended = False
        self._at_work = len(members)
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(member,), daemon=True) for member in members
        ]
        for thread in self._threads:
            thread.start()

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        return self._members[0].info

    @property
    def description(self) -> str:
        """Human-readable names of the backends and their devices."""
        return " and ".join(member.description for member in self._members)

    @property
    def precision(self) -> str:
        """Precision of the first device."""
        return self._members[0].precision

    @property
    def uniform_tiles(self) -> bool:
        """Whether few tile shapes, shared by all pictures, are faster than smaller tiles."""
        return self._members[0].uniform_tiles

    @property
    def largest_tile_px(self) -> int | None:
        """Smallest limit of any device; larger tiles are slower there."""
        sizes = [member.largest_tile_px for member in self._members]
        return min((size for size in sizes if size is not None), default=None)

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Queue a tile; see :class:`runtime.tiles.backend.Backend`."""
        if self.info.sample_type == "uint8" and tile_hwc.dtype != np.uint8:
            raise ImageError(
                "this model takes 8-bit samples and the picture has 16: convert it to 8 bits"
            )
        with self._changed:
            self._wait(lambda: len(self._queue) < WAITING_TILES * self._at_work)
            self._queue.append(_Work(tile_hwc, deliver))
            self._undelivered += 1
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until every submitted tile is delivered."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()
            try:
                self._wait(lambda: not self._undelivered)
            finally:
                self._finishing = False

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._end(Cancelled("the backend was cancelled or closed: open a new one"))

    def __enter__(self) -> DeviceTeam:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()
        for thread in self._threads:
            thread.join()
        for member in self._members:
            member.__exit__(*exception)

    def _wait(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition; the lock is held.

        Raises:
            BaseException: what ended the work.
        """
        self._changed.wait_for(lambda: self._ended or is_so())
        if self._failure is not None:
            raise self._failure

    def _end(self, failure: BaseException) -> None:
        """Stop every member; the first reason is reported."""
        with self._changed:
            if self._ended:
                return
            self._ended, self._failure = True, failure
            self._changed.notify_all()
        for member in self._members:
            member.cancel()

    def _work(self, member: Backend) -> None:
        """Run one member in its thread."""
        mine: dict[_Work, None] = {}  # in the order in which they were taken
        try:
            while not self._ended:
                work = self._next(mine)
                if work is None:
                    member.finish()
                else:
                    member.submit(work.tile_hwc, partial(self._deliver, mine, work))
        except BackendError as error:
            self._lose(member, mine, error)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self._end(error)

    def _next(self, mine: dict[_Work, None]) -> _Work | None:
        """Return a member's next tile; None if it should deliver its results first."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._queue or (self._finishing and mine))
            if self._ended:
                raise Cancelled
            if not self._queue:
                return None
            work = self._queue.popleft()
            mine[work] = None
            self._changed.notify_all()
            return work

    def _deliver(self, mine: dict[_Work, None], work: _Work, result: Samples) -> None:
        del mine[work]
        try:
            work.deliver(result)
        except BaseException as error:
            # Not the device's fault: the other devices would fare no better.
            self._end(error)
            raise Cancelled from error
        with self._changed:
            self._undelivered -= 1
            self._changed.notify_all()

    def _lose(self, member: Backend, mine: dict[_Work, None], error: BackendError) -> None:
        """Continue without a failed member."""
        with self._changed:
            self._at_work -= 1
            is_last = self._at_work == 0
            self._queue.extendleft(reversed(mine))
            self._changed.notify_all()
        if is_last:
            self._end(error)
        else:
            self._say(f"{member.description} failed, continuing without it: {error}")
