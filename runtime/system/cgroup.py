"""Resource limits of containers and services: Linux control groups, versions 1 and 2.

A group's limits are those of its own folder and of all above it. Inside a container, a process is
told its path as the host sees it, of which the container may see only the end, or nothing but its
own group at the root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

MEMBERSHIP = Path("/proc/self/cgroup")
"""File with lines such as `0::/user.slice` (version 2) or `4:memory:/docker/1f2e` (version 1)."""

ROOT = Path("/sys/fs/cgroup")
"""Mount point of the control groups."""

Number = TypeVar("Number", int, float)


def cpu_limit() -> float | None:
    """Return the CPU limit in processors, for example 1.5; None without a limit."""
    limits = [*_read("", "cpu.max", _share), *_quotas()]
    return min(limits, default=None)


def memory_limit() -> int | None:
    """Return the memory limit in bytes; None without a limit."""
    limits = [
        *_read("", "memory.max", int),
        *_read("", "memory.high", int),
        *_read("memory", "memory.limit_in_bytes", int),
    ]
    return min(limits, default=None)


def _share(text: str) -> float:
    """Parse version 2's "quota period", or "max period" without a limit."""
    quota, period = text.split()
    return int(quota) / int(period)


def _quotas() -> Iterator[float]:
    """Yield version 1's quotas, from two files; negative without a limit."""
    for folder in _folders("cpu"):
        try:
            quota, period = (
                int((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii"))
                for name in ("quota", "period")
            )
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            yield quota / period


def _read(controller: str, name: str, parse: Callable[[str], Number]) -> Iterator[Number]:
    """Yield the limits of this process's group and of its ancestors."""
    for folder in _folders(controller):
        try:
            yield parse((folder / name).read_text(encoding="ascii"))
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
            continue


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of its ancestors.

    Args:
        controller: controller of version 1, for example `memory`; empty for version 2.
    """
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        if line.count(":") < 2:
            continue
        _, controllers, path = line.split(":", 2)
        if controller not in controllers.split(","):
            continue
        # Version 1 names its mounts after their controllers; beside it, 2 is called `unified`.
        mounts = (controllers, controller) if controller else ("", "unified")
        for mount in dict.fromkeys(mounts):
            here = PurePosixPath(path.lstrip("/"))
            for place in (here, *here.parents):
                yield ROOT / mount / place
