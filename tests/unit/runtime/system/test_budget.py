from __future__ import annotations

import threading

import pytest

from runtime.errors import Cancelled
from runtime.system.budget import Budget
from tests.support.pipeline_bench import LIMIT_S


def test_one_is_let_through_even_if_it_is_too_large() -> None:
    budget = Budget(10)
    assert budget.has_room(100)
    budget.take(100, threading.Event())
    assert not budget.has_room(1)
    budget.give(100)
    assert budget.has_room(10)


def test_taking_waits_for_room() -> None:
    budget, stop, taken = Budget(10), threading.Event(), threading.Event()
    budget.take(6, stop)

    def take() -> None:
        budget.take(5, stop)
        taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not taken.wait(0.1)
    budget.give(6)
    assert taken.wait(LIMIT_S)
    thread.join()
    assert budget.has_room(5)
    assert not budget.has_room(6)


def test_stopping_ends_the_wait() -> None:
    budget, stop = Budget(10), threading.Event()
    budget.take(10, stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Cancelled):
        budget.take(1, stop)
    budget.give(10)
    assert budget.has_room(10), "what was not taken is not counted"
