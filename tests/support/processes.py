"""Child processes of tests: none hangs, and none outlives its test.

A child that is left over would fail a test that has nothing to do with it, by the warning about
its open pipes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")

HANGS_S = 300
"""Time after which work counts as hung; generous, because test machines are busy."""

SOON_S = 20
"""In which a command must have answered Ctrl-C.

It does so within two seconds on an idle machine; what tests interrupt takes `BLOCKS_S`, so that a
command that waits for its end is told from one that has to wait for a processor.
"""

BLOCKS_S = 60


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run to its end, in text; `options` are those of `subprocess.run`."""
    defaults = {"capture_output": True, "text": True, "timeout": HANGS_S, "check": False}
    return subprocess.run(list(command), **{**defaults, **options})


@contextlib.contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process with text pipes during the block; then end it and its children.

    `options` are those of `subprocess.Popen`.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    group = {"start_new_session": True}
    with subprocess.Popen(list(command), **{**pipes, **group, **options}) as process:
        try:
            yield process
        finally:
            _kill(process)


def _has_ended(process: subprocess.Popen[str] | BaseProcess | None) -> bool:
    if isinstance(process, BaseProcess):
        return not process.is_alive()
    return process is not None and process.poll() is not None


def run_on_terminal(command: Sequence[str | Path], **options: Any) -> tuple[int, str]:
    """Run with a terminal as standard output and error, unless `options` say otherwise.

    Returns:
        The exit code, and the terminal's output.
    """
    import pty

    terminal, inside = pty.openpty()
    shown = b""
    try:
        streams = {"stdout": inside, "stderr": inside, "text": False}
        with started(command, **{**streams, **options}) as process:
            os.close(inside)
            while select.select([terminal], [], [], HANGS_S)[0]:
                try:
                    chunk = os.read(terminal, 4096)
                except OSError:  # EIO: the other side is closed, on Linux
                    break
                if not chunk:
                    break
                shown += chunk
            code = process.wait(HANGS_S)
    finally:
        os.close(terminal)
    return code, shown.decode()


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_until(
    condition: Callable[[], object],
    process: subprocess.Popen[str] | BaseProcess | None = None,
) -> None:
    """Wait for a condition; fail if it can no longer come true, or takes too long.

    Args:
        condition: polled; files that it reads may vanish meanwhile.
        process: the process that makes it true.
    """
    give_up = time.monotonic() + HANGS_S
    while not condition():
        # In this order: both may happen between two polls.
        if _has_ended(process) and not condition():
            said = process.communicate() if isinstance(process, subprocess.Popen) else ""
            raise AssertionError(f"it ended before: {said}")
        assert time.monotonic() < give_up, "it does not happen"
        time.sleep(0.01)
