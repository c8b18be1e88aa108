"""Makes the C library keep freed memory for the next training step."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Constants from glibc's malloc.h."""

KEPT_BYTES = 2**31 - 1
"""Largest value that mallopt accepts: free memory below it is kept."""

GROWTH_BYTES = 2**28


def keep_freed_memory() -> bool:
    """Stop glibc from returning large blocks to the system at once.

    By default tensors above 32 MiB are mapped when they are made and unmapped when they are freed,
    and free memory at the heap's end is given back; the kernel clears the pages each time. On
    CPUs that is a tenth to a third of a training step. Peak memory stays what it was.

    Returns:
        Whether the C library took the settings; it has to be glibc.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    wanted = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: KEPT_BYTES, M_TOP_PAD: GROWTH_BYTES}
    taken = [libc.mallopt(name, value) == 1 for name, value in wanted.items()]
    return all(taken)
