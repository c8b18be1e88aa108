from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.image.layers import Afterwards, Layer, composed_frames

RED, GREEN, CLEAR = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 0, 0)


def layer(
    colour: tuple[int, int, int, int],
    left: int = 0,
    side: int = 2,
    *,
    is_over: bool = True,
    afterwards: Afterwards = "keep",
) -> Layer:
    rgba = np.full((side, side, 4), colour, np.uint8)
    return Layer(rgba_hwc=rgba, left=left, top=0, is_over=is_over, afterwards=afterwards)


def row(frame: Any) -> list[tuple[int, ...]]:
    return [tuple(pixel) for pixel in frame[0].tolist()]


@pytest.mark.parametrize(
    ("afterwards", "second"),
    [
        ("keep", [RED, RED, GREEN, GREEN]),
        ("clear", [CLEAR, CLEAR, GREEN, GREEN]),
        ("restore", [CLEAR, CLEAR, GREEN, GREEN]),
    ],
)
def test_what_becomes_of_a_frame(
    afterwards: Afterwards, second: list[tuple[int, int, int, int]]
) -> None:
    layers = [layer(RED, afterwards=afterwards), layer(GREEN, left=2)]
    first, found = (row(frame) for frame in composed_frames(layers, (2, 4)))
    assert first == [RED, RED, CLEAR, CLEAR]
    assert found == second


def test_restoring_is_not_clearing() -> None:
    layers = [layer(RED, side=4), layer(GREEN, afterwards="restore"), layer(GREEN, left=3)]
    *_, last = (row(frame) for frame in composed_frames(layers, (2, 4)))
    assert last == [RED, RED, RED, GREEN]


def test_alpha_replaces_or_is_mixed() -> None:
    half = (0, 255, 0, 128)
    for is_over, expected in ((False, half), (True, (127, 128, 0, 255))):
        layers = [layer(RED), layer(half, is_over=is_over)]
        *_, last = composed_frames(layers, (2, 2))
        assert row(last)[0] == expected
    *_, last = composed_frames([layer(RED), layer((9, 9, 9, 0))], (2, 2))
    assert row(last)[0] == RED, "nothing is drawn where nothing is"
    (alone,) = composed_frames([layer(half)], (2, 2))
    assert row(alone)[0] == half, "over nothing"


def test_a_frame_may_reach_beyond_the_canvas() -> None:
    (frame,) = composed_frames([layer(RED, left=3, side=5)], (2, 4))
    assert frame.shape == (2, 4, 4)
    assert row(frame) == [CLEAR, CLEAR, CLEAR, RED]


def test_frames_do_not_change_once_they_are_given() -> None:
    first, _ = composed_frames([layer(RED), layer(GREEN)], (2, 2))
    assert row(first)[0] == RED
