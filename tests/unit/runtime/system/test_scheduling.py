from __future__ import annotations

import os
import sys
import threading

import pytest

from runtime.system.scheduling import scheduling_kept


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies of Linux")
def test_threads_get_their_policy_back() -> None:
    """A batch policy stands in for real time, which only root may ask for."""
    before = os.sched_getscheduler(0)
    began, end = threading.Event(), threading.Event()
    seen: list[int] = []

    def work() -> None:
        began.set()
        end.wait(20)
        seen.append(os.sched_getscheduler(0))

    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        thread = threading.Thread(target=work)  # inherits it
        thread.start()
        assert began.wait(20)
    end.set()
    thread.join()
    assert os.sched_getscheduler(0) == before
    assert seen == [before]
