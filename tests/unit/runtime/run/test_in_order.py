from __future__ import annotations

import random
import threading

import pytest

from runtime.errors import Cancelled
from runtime.run.in_order import InOrder


def test_items_come_in_order_and_are_few() -> None:
    line: InOrder[int] = InOrder(5, 3, lambda: False)
    taken: list[int] = []

    def take() -> None:
        for _ in range(30):
            taken.append(line.take())
            line.release()

    thread = threading.Thread(target=take)
    thread.start()
    chance = random.Random(0)
    for first in range(5, 35, 3):
        numbers = list(range(first, first + 3))
        for _ in numbers:
            line.reserve()
        chance.shuffle(numbers)
        for number in numbers:
            line.put(number, number)
    thread.join(60)
    assert taken == list(range(5, 35))


def test_room_is_bounded() -> None:
    line: InOrder[int] = InOrder(0, 2, lambda: True)
    line.reserve()
    assert line.has_room()
    line.reserve()
    assert not line.has_room()
    with pytest.raises(Cancelled):
        line.reserve()
    with pytest.raises(Cancelled):
        line.take()
    line.release()
    assert line.has_room()
