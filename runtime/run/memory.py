"""Memory limits for pictures."""

from __future__ import annotations

import os

from runtime.system.cgroup import memory_limit

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
