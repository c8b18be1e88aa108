"""Prepares batches ahead in threads, so that training never waits for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Producer of the batches that follow the requested one, in threads.

    The batches are those that `make` gives, whatever the threads do: each depends on its
    number alone.

    Args:
        make: batch number to batch, safe to call from several threads.
        workers: threads.
        ahead: batches kept ready.
    """

    def __init__(self, make: Callable[[int], T], *, workers: int = 2, ahead: int = 4) -> None:
        self._make = make
        self._ahead = ahead
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
        self._futures: dict[int, Future[T]] = {}

    def batch(self, step: int) -> T:
        """Return batch number `step`, and start on the following ones."""
        for number in range(step, step + self._ahead + 1):
            if number not in self._futures:
                self._futures[number] = self._pool.submit(self._make, number)
        for number in [number for number in self._futures if number < step]:
            self._futures.pop(number).cancel()
        return self._futures.pop(step).result()

    def __enter__(self) -> Prefetcher[T]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
