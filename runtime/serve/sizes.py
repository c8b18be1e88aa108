"""Pictures of three sizes: those of one size wait for each other, and never for larger ones."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

SMALL_BYTES = 24 << 20
"""Of a result: previews, and pictures up to half a megapixel that are enlarged four times."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A class of pictures by how much memory their results take."""

    name: str
    rank: int
    most_bytes: int
    """Of a result that is made as a whole."""
    at_once: int
    """How many are worked on."""
    places: asyncio.Semaphore = field(repr=False)
    """One for each that is worked on; the event loop's."""
    hands: threading.Semaphore = field(repr=False)
    """Taken by the threads that decode or encode."""


def sizes_for(memory_bytes: int, *, jobs: int) -> tuple[Size, ...]:
    """The three sizes, smallest first.

    Args:
        memory_bytes: that results may occupy together.
        jobs: pictures that are decoded or encoded at once, of each size but the largest.
    """
    small = min(SMALL_BYTES, memory_bytes // 64)
    limits = (
        ("small", small, 8),
        ("medium", memory_bytes // 8, 4),
        ("large", memory_bytes // 4, 2),
    )
    return tuple(
        Size(
            name=name,
            rank=rank,
            most_bytes=most_bytes,
            at_once=at_once,
            places=asyncio.Semaphore(at_once),
            # A large one is encoded for many seconds; two would take all cores.
            hands=threading.Semaphore(1 if name == "large" else jobs),
        )
        for rank, (name, most_bytes, at_once) in enumerate(limits)
    )


def size_of(result_bytes: int, sizes: tuple[Size, ...]) -> Size:
    """The smallest size that holds a result; the largest for what is made in strips."""
    fitting = (size for size in sizes if result_bytes <= size.most_bytes)
    return next(fitting, sizes[-1])


@dataclass
class Turn:
    """A place among the pictures of one size."""

    size: Size
    is_passed_on: bool = False
    """Whether a thread has it, and gives it back."""

    def give_back(self) -> None:
        """Let the next one in; in the event loop."""
        self.size.places.release()


@contextlib.asynccontextmanager
async def turn_of(size: Size) -> AsyncIterator[Turn]:
    """Wait for a place, and give it back at the end unless it was passed on."""
    await size.places.acquire()
    turn = Turn(size)
    try:
        yield turn
    finally:
        if not turn.is_passed_on:
            turn.give_back()
