from __future__ import annotations

import signal
import threading

import pytest

from runtime.errors import ConfigError
from runtime.run.interrupt import GRACE_S, run_interruptibly
from tests.support.pipeline_bench import LIMIT_S
from tests.support.processes import posix_only

NAMES = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def test_work_that_ends_by_itself() -> None:
    done: list[int] = []
    assert run_interruptibly(lambda: done.append(1), ())
    assert done == [1]


def test_errors_of_the_work_are_raised() -> None:
    def fail() -> None:
        raise ConfigError("nonsense")

    with pytest.raises(ConfigError, match="nonsense"):
        run_interruptibly(fail, ())


@posix_only
@pytest.mark.parametrize("name", NAMES)
def test_a_signal_ends_the_work_in_order(name: str) -> None:
    ended, calls = threading.Event(), []

    def work() -> None:
        signal.raise_signal(getattr(signal, name))
        ended.wait(LIMIT_S)

    def give_up(*, within_s: float) -> None:
        calls.append(within_s)
        ended.set()

    def tidy(*, within_s: float) -> None:
        calls.append(-within_s)

    assert not run_interruptibly(work, (give_up, tidy))
    assert calls == [GRACE_S, -GRACE_S]


@posix_only
def test_what_the_caller_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run_interruptibly(lambda: signal.raise_signal(signal.SIGHUP), ())
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
