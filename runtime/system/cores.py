"""Counts the processor cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""File with a container's share on Linux (cgroup v2): "microseconds period" or "max period"."""


def usable_cores() -> int:
    """Processor cores this process may run on: its affinity, and its container's share.

    A container that may use 2 of 64 cores still sees all of them; a thread for each would
    only make them wait for one another.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no Linux, no container, or no limit
        return cores
