"""Passes on results in the order of their numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from runtime.errors import Cancelled
from runtime.system.budget import POLL_S

Item = TypeVar("Item")


class InOrder(Generic[Item]):
    """Receives results from any thread in any order, and passes them to one thread in order.

    Args:
        first: number of the first result.
        most: maximum number of results on their way.
        has_ended: polled while waiting; true to give up.
    """

    def __init__(self, first: int, most: int, has_ended: Callable[[], bool]) -> None:
        self._next = first
        self._most = most
        self._has_ended = has_ended
        self._on_their_way = 0
        self._items: dict[int, Item] = {}
        self._changed = threading.Condition()

    def has_room(self) -> bool:
        """Return whether :meth:`reserve` would not block."""
        with self._changed:
            return self._on_their_way < self._most

    def reserve(self) -> None:
        """Wait until there is room for one more result.

        Raises:
            Cancelled: `has_ended` is true.
        """
        with self._changed:
            self._wait(lambda: self._on_their_way < self._most)
            self._on_their_way += 1

    def put(self, number: int, item: Item) -> None:
        """Add a result for which room was reserved; never blocks."""
        with self._changed:
            self._items[number] = item
            self._changed.notify_all()

    def take(self) -> Item:
        """Wait for the next result, whose room `release` frees.

        Raises:
            Cancelled: `has_ended` is true.
        """
        with self._changed:
            self._wait(lambda: self._next in self._items)
            self._next += 1
            return self._items.pop(self._next - 1)

    def release(self) -> None:
        """Free the room of one result."""
        with self._changed:
            self._on_their_way -= 1
            self._changed.notify_all()

    def _wait(self, is_there: Callable[[], bool]) -> None:
        while not is_there():
            if self._has_ended():
                raise Cancelled
            self._changed.wait(POLL_S)
