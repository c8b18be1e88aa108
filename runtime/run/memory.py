"""How much memory there is for pictures."""

from __future__ import annotations

import os

from runtime.system.cgroup import memory_limit

RESULT_SHARE = 4
"""A result is the array, Pillow's copy of it, the encoded file, and what decoding took."""


def default_memory_bytes() -> int:
    """What results may occupy until they are written: a quarter of memory, at most 4 GiB."""
    return min(4 << 30, total_memory_bytes() // RESULT_SHARE)


def total_memory_bytes() -> int:
    """This machine's memory, or its container's; 4 GiB where nothing tells."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        physical = 4 << 30
    limit = memory_limit()
    return physical if limit is None else min(physical, limit)
