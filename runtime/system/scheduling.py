"""The scheduling policy of this process, which some libraries change."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scheduling_kept() -> Iterator[None]:
    """Give every thread the calling thread's scheduling policy back when the block ends.

    SVT-AV1 makes the process a real-time one where it may, as it may for root: whatever runs on the
    same cores then waits, and child processes inherit it.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # it may have ended
                if os.sched_getscheduler(int(task.name)) != policy:
                    os.sched_setscheduler(int(task.name), policy, parameters)
