"""Engine builds that Ctrl-C can end.

Python hears of Ctrl-C between two of its own steps only, and a build is one step of minutes: it is
made in another thread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from export.trt.builder.plan import Graph, build_plan
from runtime.backends.cuda.open import open_device
from runtime.backends.trt.library import Library
from runtime.backends.trt.request import EngineRequest
from runtime.system.terminal import OnProgress

THREAD_NAME = "TensorRT builder"

POLL_S = 0.1
"""Interval at which Ctrl-C is noticed."""


def build_interruptibly(
    library: Library,
    graph: Graph,
    request: EngineRequest,
    *,
    on_progress: OnProgress,
    cancelled: threading.Event,
    device: int = 0,
) -> bytes:
    """Build in a thread that Ctrl-C can interrupt; see :func:`export.trt.builder.plan.build_plan`.

    The builder builds for the GPU that is active in its thread: the first, unless another one is.

    Ctrl-C cancels the build and waits for its next step; pressed again, it waits no longer. A
    library that cannot be cancelled (8.x) is left alone: its thread goes on until the process ends,
    and its result goes nowhere.

    Raises:
        KeyboardInterrupt: the thread still builds.
        Cancelled: the build was cancelled.
    """
    plans: list[bytes] = []
    errors: list[BaseException] = []
    ended = threading.Event()  # after Ctrl-C during a join, Python takes a thread for dead

    def work() -> None:
        try:
            with _active(device):
                plans.append(
                    build_plan(
                        library, graph, request, on_progress=on_progress, cancelled=cancelled
                    )
                )
        except BaseException as error:  # noqa: BLE001 -- raised again by the waiting thread
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work, name=THREAD_NAME, daemon=True)
    begun = False
    while not ended.is_set():
        try:
            if not begun:
                begun = True
                thread.start()  # Ctrl-C may come in here, too
            while not ended.wait(POLL_S):
                pass
        except KeyboardInterrupt:
            again = cancelled.is_set()
            cancelled.set()
            on_progress("Cancelling", 1.0)
            if again or thread.ident is None or not library.capabilities.progress:
                raise
    if errors:
        raise errors[0]
    return plans[0]


@contextmanager
def _active(device: int) -> Iterator[None]:
    if device == 0:
        yield
        return
    gpu = open_device(device)
    try:
        with gpu.active():
            yield
    finally:
        gpu.close()


def exit_process(exit_code: int) -> NoReturn:
    """Exit the process, even while a library that cannot be cancelled is still building."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name == THREAD_NAME for thread in threading.enumerate()):
        # Python's own end would take the library away under its thread.
        os._exit(exit_code)
    sys.exit(exit_code)
