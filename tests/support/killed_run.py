"""Runs of `dggn-run` that are killed at a known point."""

from __future__ import annotations

import signal
import threading

from tests.support.dggn_run import start
from tests.support.faulty_server import FaultyServer
from tests.support.processes import BLOCKS_S, SOON_S, wait_until


def run_killed_after(server: FaultyServer, puts: int, *arguments: str) -> set[str]:
    """Run `dggn-run` until a number of results below `out/` is in the store, and kill it.

    Returns:
        The names of those results.
    """
    held, guard, count = threading.Event(), threading.Lock(), 0

    def hold_the_next(method: str, path: str) -> tuple[str, str] | None:
        nonlocal count
        if method != "PUT" or "/out/" not in path:
            return None
        with guard:
            count += 1
            if count <= puts:
                return None
        held.wait(BLOCKS_S)
        return "403 Forbidden", "TooLate"

    server.hook = hold_the_next
    with start(*arguments) as process:
        wait_until(lambda: count > puts and len(server.keys("out/")) == puts, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SOON_S)
    held.set()
    server.listener.wait_for_dead_clients()
    done = server.keys("out/")
    server.hook = lambda method, path: None
    return done
