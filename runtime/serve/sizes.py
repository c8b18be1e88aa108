"""Size classes: pictures wait for others of their class, never for larger ones."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

SMALL_BYTES = 24 << 20
"""Results of previews, and of pictures up to half a megapixel that are enlarged four times."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A class of pictures by the memory of their results."""

    name: str
    rank: int
    most_bytes: int
    """Maximum size of a result that is made whole."""
    at_once: int
    """Number of pictures processed at once."""
    places: asyncio.Semaphore = field(repr=False)
    """Places for pictures being processed; belongs to the event loop."""
    hands: threading.Semaphore = field(repr=False)
    """Permits for threads that decode or encode."""


def sizes_for(memory_bytes: int, *, jobs: int) -> tuple[Size, ...]:
    """Return the three classes, smallest first.

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
    """Return the smallest class that fits a result; the largest for results in strips."""
    fitting = (size for size in sizes if result_bytes <= size.most_bytes)
    return next(fitting, sizes[-1])


@dataclass
class Turn:
    """A place in a class."""

    size: Size
    is_passed_on: bool = False
    """Whether a thread has it and will release it."""

    def give_back(self) -> None:
        """Release the place, in the event loop."""
        self.size.places.release()


@contextlib.asynccontextmanager
async def turn_of(size: Size) -> AsyncIterator[Turn]:
    """Wait for a place, and release it at the end unless it was passed on."""
    await size.places.acquire()
    turn = Turn(size)
    try:
        yield turn
    finally:
        if not turn.is_passed_on:
            turn.give_back()
