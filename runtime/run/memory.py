"""Memory limits for pictures that wait to be written."""

from __future__ import annotations

import os
import threading

from runtime.errors import Cancelled
from runtime.system.cgroup import memory_limit

POLL_S = 0.05
"""Polling interval in which a waiting thread notices a stop."""

RESULT_SHARE = 4
"""Copies of a result in memory: the array, Pillow's copy, the encoded file, and decoding."""


def default_memory_bytes() -> int:
    """Return the default memory for results: a quarter of the total, at most 4 GiB."""
    return min(4 << 30, total_memory_bytes() // RESULT_SHARE)


def total_memory_bytes() -> int:
    """Return the memory of this machine or container in bytes; 4 GiB if unknown."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        physical = 4 << 30
    limit = memory_limit()
    return physical if limit is None else min(physical, limit)


class MemoryBudget:
    """Byte counter of upscaled pictures that makes inference wait for room.

    Args:
        limit_bytes: total limit; a single larger picture is still admitted.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._changed = threading.Condition()

    def has_room(self, size: int) -> bool:
        """Return whether :meth:`take` would not wait for `size` bytes."""
        with self._changed:
            return self._fits(size)

    def take(self, size: int, stop: threading.Event) -> None:
        """Wait for room.

        Args:
            size: number of bytes.
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
        """Release memory."""
        with self._changed:
            self._used -= size
            self._changed.notify()

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self._limit
