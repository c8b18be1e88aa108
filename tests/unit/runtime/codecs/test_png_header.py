from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from PIL import Image

from runtime.codecs.png_header import FrameControl, read_png_header
from runtime.errors import ImageReadError
from tests.support.images import chunk, png

RGB, RGBA = 2, 6
ROW = bytes(8 * 3)
FULL = (8, 4, 0, 0)


def control(
    number: int, area: tuple[int, int, int, int] = FULL, disposal: int = 0, under: int = 20
) -> bytes:
    width, height, left, top = area
    return chunk(
        b"fcTL", struct.pack(">5I2H2B", number, width, height, left, top, 1, under, disposal, 1)
    )


def animation(*controls: bytes, count: int | None = None, plays: int = 3) -> bytes:
    start = chunk(b"acTL", struct.pack(">II", len(controls) if count is None else count, plays))
    return png(8, 4, 8, RGB, [ROW] * 4, start + b"".join(controls))


def read(data: bytes) -> Any:
    return read_png_header(io.BytesIO(data))


def test_a_single_picture() -> None:
    words = chunk(b"tEXt", b"Title\0Coast")
    header = read(png(8, 4, 16, RGBA, [bytes(8 * 8)] * 4, words))
    assert (header.size_hw, header.has_alpha, header.is_deep) == ((4, 8), True, True)
    assert (header.controls, header.plays, header.is_interlaced) == ((), 0, False)
    image = header.image()
    assert image.size == (1, 1)
    assert image.text == {"Title": "Coast"}


def test_a_colour_may_stand_for_transparent() -> None:
    assert not read(png(8, 4, 8, RGB, [ROW] * 4)).has_alpha
    assert read(png(8, 4, 8, RGB, [ROW] * 4, chunk(b"tRNS", bytes(6)))).has_alpha


def test_the_frames_of_an_animation() -> None:
    header = read(animation(control(0), control(1, under=0)))
    assert [one.duration_ms for one in header.controls] == [50, 10]
    assert (header.plays, header.has_still, header.has_alpha) == (3, False, False)


@pytest.mark.parametrize(
    ("last", "has_alpha"),
    [
        (control(1), False),
        (control(1, disposal=1), True),
        (control(1, disposal=2), True),
        (control(1, area=(4, 4, 2, 0)), True),
    ],
)
def test_what_may_leave_holes(last: bytes, has_alpha: bool) -> None:
    assert read(animation(control(0), last)).has_alpha is has_alpha


def test_a_still_picture_comes_before_the_first_frame() -> None:
    data = animation(count=1)
    end = chunk(b"IEND", b"")
    frame = control(0) + chunk(b"fdAT", struct.pack(">I", 1) + b"samples")
    header = read(data.removesuffix(end) + frame + end)
    assert header.has_still
    assert len(header.controls) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (animation(control(0), count=2), "frames are missing"),
        (animation(control(0), control(1, area=(8, 4, 1, 0))), "a frame lies outside"),
        (animation(control(0), control(1, area=(0, 4, 0, 0))), "a frame lies outside"),
    ],
)
def test_damaged_animations(data: bytes, said: str) -> None:
    with pytest.raises(ImageReadError, match=said):
        read(data)


def test_a_frame_block_that_is_too_short() -> None:
    with pytest.raises(ImageReadError, match="too short"):
        FrameControl.of(bytes(25))


def test_two_starts_or_one_frame_are_no_animation() -> None:
    assert not read(animation(control(0))).controls
    twice = chunk(b"acTL", struct.pack(">II", 2, 0))
    assert not read(animation(twice, control(0), control(1), count=2)).controls


def test_interlacing_is_seen() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 4)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[28] = 1
    fixed = chunk(b"IHDR", bytes(data[16:29]))
    assert read(bytes(data[:8]) + fixed + bytes(data[33:])).is_interlaced
