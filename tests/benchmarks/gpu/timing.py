"""Throughput of calls that only queue their work."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST, MOST = 8, 100_000
"""Calls in a measurement."""


def per_second(queue: Callable[[], object], wait: Callable[[], object], seconds: float) -> float:
    """Return calls per second after a warm-up, waiting only once, at the end.

    Args:
        queue: begins something.
        wait: returns when all that was begun is done.
        seconds: how long to measure, roughly.
    """
    queue()
    wait()
    began_s = time.perf_counter()
    queue()
    wait()
    one_s = time.perf_counter() - began_s
    count = max(LEAST, min(MOST, round(seconds / one_s)))
    began_s = time.perf_counter()
    for _ in range(count):
        queue()
    wait()
    return count / (time.perf_counter() - began_s)
