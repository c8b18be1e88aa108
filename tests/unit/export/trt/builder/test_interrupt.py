from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from export.trt.builder.interrupt import build_interruptibly
from export.trt.builder.plan import Graph
from runtime.backends.trt.library import Library, library_of
from runtime.backends.trt.request import EngineRequest
from runtime.errors import Cancelled

MakeTensorRt = Callable[[str], Any]


GRAPH = Graph(content=b"graph", least_px=8)
REQUEST = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=64,
    batch=4,
    targets=("sm86", "sm120"),
)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c(library: Library) -> None:
    """Ctrl-C cancels a build if possible; otherwise the caller is told at once."""
    began, end = threading.Event(), threading.Event()
    cancelled = threading.Event()

    def on_build(step: int) -> None:
        began.set()
        if not library.capabilities.progress:
            assert end.wait(20)
        elif step == 0:
            assert cancelled.wait(20)

    library.module.behaviour.on_build = on_build

    def press() -> None:
        # A later signal would end pytest.
        if began.wait(20):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    expected = Cancelled if library.capabilities.progress else KeyboardInterrupt
    try:
        with pytest.raises(expected):
            build_interruptibly(
                library,
                GRAPH,
                REQUEST,
                on_progress=lambda what, share: None,
                cancelled=cancelled,
            )
    finally:
        end.set()
        thread.join()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_pressed_again_waits_no_longer(make_tensorrt: MakeTensorRt) -> None:
    library = library_of(make_tensorrt("10.7"), "tensorrt")
    began, end = threading.Event(), threading.Event()

    def on_build(step: int) -> None:
        began.set()
        assert end.wait(20)

    def press() -> None:
        for reached in (began, cancelled):
            if reached.wait(20):
                os.kill(os.getpid(), signal.SIGINT)

    cancelled = threading.Event()
    library.module.behaviour.on_build = on_build
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            build_interruptibly(
                library,
                GRAPH,
                REQUEST,
                on_progress=lambda what, share: None,
                cancelled=cancelled,
            )
    finally:
        end.set()
        thread.join()


def test_leaving_while_an_old_library_builds() -> None:
    """Its thread cannot be stopped, but the process exits without a crash, with its exit code."""
    code = """
import threading, time
from export.trt.builder.interrupt import THREAD_NAME, exit_process
threading.Thread(target=time.sleep, args=(60,), name=THREAD_NAME).start()
print("said", flush=False)
exit_process(130)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "said\n", "")
