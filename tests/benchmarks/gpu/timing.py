"""How fast something goes on that may only be queued."""

from __future__ import annotations

import time
from collections.abc import Callable

QUEUED = 8
"""Calls between two waits: enough that waiting costs nothing."""


def per_second(queue: Callable[[], object], wait: Callable[[], object], seconds: float) -> float:
    """Calls a second, after a warm-up.

    Args:
        queue: begins something.
        wait: returns when all that was begun is done.
        seconds: how long to measure, at least.
    """
    queue()
    wait()
    began_s, count = time.perf_counter(), 0
    while True:
        for _ in range(QUEUED):
            queue()
        wait()
        count += QUEUED
        taken_s = time.perf_counter() - began_s
        if taken_s >= seconds:
            return count / taken_s
