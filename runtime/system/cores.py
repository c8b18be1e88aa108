"""Counts the CPU cores that this process may use."""

from __future__ import annotations

import math
import os

from runtime.system.cgroup import cpu_limit


def usable_cores() -> int:
    """Count the CPU cores that this process may use: its affinity, limited by its container.

    A container that may use 2 of 64 cores still sees all of them; a thread for each would
    only make them wait for one another.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limit = cpu_limit()
    return cores if limit is None else max(1, min(cores, math.ceil(limit)))
