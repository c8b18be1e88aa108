from __future__ import annotations

from collections.abc import Callable

import pytest

from runtime.report.pace import Pace, pace_figures

HD, QUARTER = (1000, 1000), (500, 500)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace_of(pictures: int, clock: Callable[[], float]) -> Pace:
    return Pace(pictures, clock=clock)


def test_nothing_is_known_before_the_first_picture(clock: Clock) -> None:
    pace = pace_of(3, clock)
    assert pace.left_s is None
    assert pace.share == 0
    assert pace_figures(pace, 3) == "0/3 images  0.0 MP/s"


def test_unknown_pictures_count_as_the_mean_of_the_known(clock: Clock) -> None:
    pace = pace_of(4, clock)
    pace.begin(HD, (4000, 4000))
    clock.now += 8
    pace.advance(0.5)
    assert pace.done_mp == pytest.approx(8)
    assert pace.mp_per_s == pytest.approx(1)
    # Half of the first of four alike took 8 s: seven more halves are left.
    assert pace.share == pytest.approx(1 / 8)
    assert pace.left_s == pytest.approx(56)
    assert pace_figures(pace, 4) == "0/4 images  1.0 MP/s  0:56 left"


def test_time_goes_with_the_size_of_sources_not_of_results(clock: Clock) -> None:
    pace = pace_of(2, clock)
    pace.begin(HD, HD)
    pace.advance(1.0)
    pace.end(inferred=True)
    clock.now += 10
    pace.begin(QUARTER, (4000, 4000))
    assert pace.share == pytest.approx(0.8)
    assert pace.left_s == pytest.approx(2.5)
    assert pace.ended == 1


def test_a_picture_that_failed_before_its_inference_is_no_work(clock: Clock) -> None:
    pace = pace_of(2, clock)
    pace.end(inferred=False)
    pace.begin(HD, HD)
    pace.advance(1.0)
    clock.now += 3
    assert pace.share == 1
    assert pace.left_s == 0
    assert pace.ended == 1
