"""A budget of bytes: whoever needs more than is left waits."""

from __future__ import annotations

import threading

from runtime.errors import Cancelled

POLL_S = 0.05
"""Polling interval in which a waiting thread notices a stop."""


class Budget:
    """Counts bytes in use, and makes callers wait for room.

    Args:
        limit_bytes: for all of them; one is let through even if it is larger.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._changed = threading.Condition()

    def has_room(self, size: int) -> bool:
        """Return whether :meth:`take` would not wait; `size` in bytes."""
        with self._changed:
            return self._fits(size)

    def take(self, size: int, stop: threading.Event) -> None:
        """Wait for room.

        Args:
            size: in bytes.
            stop: ends the wait.

        Raises:
            Cancelled: `stop` was set.
        """
        with self._changed:
            while not self._fits(size):
                if stop.is_set():
                    raise Cancelled
                self._changed.wait(POLL_S)
            self._used += size

    def give(self, size: int) -> None:
        """Make room again."""
        with self._changed:
            self._used -= size
            self._changed.notify()

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self._limit
