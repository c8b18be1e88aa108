from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.video.stamps import Stamps, decoding_stamps, reordering

RISING = st.sets(st.integers(-1000, 100_000), min_size=1, max_size=60).map(sorted)


def given_stamps(stamps: list[tuple[int | None, int]], usual: int = 40) -> list[tuple[int, int]]:
    clock = Stamps(usual)
    return [clock.next(*each) for each in stamps]


def test_good_stamps_are_kept() -> None:
    stamps: list[tuple[int | None, int]] = [(7, 3), (10, 90), (100, 1)]
    assert given_stamps(stamps) == stamps


@pytest.mark.parametrize(
    ("stamps", "expected", "made_up"),
    [
        ([(None, 0), (None, 0), (None, 0)], [0, 40, 80], 3),
        ([(5, 10), (None, 10), (25, 10)], [5, 15, 25], 1),
        ([(5, 10), (5, 10), (6, 10)], [5, 6, 7], 2),
        ([(50, 10), (20, 10), (60, 10)], [50, 51, 60], 1),
        ([(-20, 0), (20, 0)], [-20, 20], 0),
    ],
)
def test_missing_and_backward_stamps_are_made_up(
    stamps: list[tuple[int | None, int]], expected: list[int], made_up: int
) -> None:
    clock = Stamps(40)
    assert [clock.next(*each)[0] for each in stamps] == expected
    assert clock.made_up == made_up


@given(st.lists(st.tuples(st.none() | st.integers(-9, 99), st.integers(0, 9)), max_size=30))
def test_stamps_always_rise(stamps: list[tuple[int | None, int]]) -> None:
    made = [stamp for stamp, _ in given_stamps(stamps, usual=3)]
    assert made == sorted(set(made))


@given(RISING, st.data())
def test_packets_are_read_in_time(stamps: list[int], data: st.DataObject) -> None:
    # Any order in which each frame is at most a few places from its own.
    places = [number + data.draw(st.integers(0, 4)) for number in range(len(stamps))]
    order = sorted(range(len(stamps)), key=lambda number: places[number])
    ahead = reordering(order)
    read = decoding_stamps(stamps, ahead, 40)
    assert len(read) == len(stamps)
    assert read == sorted(set(read))
    assert all(at <= stamps[frame] for at, frame in zip(read, order, strict=True))
    assert read[ahead:] == stamps[: len(stamps) - ahead]
