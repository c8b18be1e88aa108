from __future__ import annotations

import pytest

from runtime.errors import ImageReadError
from runtime.video.colours import FULL, LIMITED, Colours, matrix_name

UNTAGGED = {"primaries": 2, "transfer": 2, "matrix": 2, "range": 0}


def guessed(rows: int, *, is_rgb: bool = False, is_full: bool = False, **tags: int) -> Colours:
    return Colours.of(UNTAGGED | tags, rows=rows, is_rgb=is_rgb, is_full=is_full)[0]


@pytest.mark.parametrize(
    ("rows", "primaries", "matrix"), [(480, 6, 6), (576, 5, 6), (577, 1, 1), (1080, 1, 1)]
)
def test_untagged_clips_are_taken_by_their_height(rows: int, primaries: int, matrix: int) -> None:
    colours = guessed(rows)
    assert (colours.primaries, colours.transfer, colours.matrix) == (primaries, matrix, matrix)
    assert colours.range == LIMITED


def test_what_is_tagged_is_kept_and_the_rest_guessed() -> None:
    assert guessed(480, matrix=1) == Colours(primaries=6, transfer=6, matrix=1, range=LIMITED)
    assert guessed(1080, range=2).range == FULL
    assert guessed(1080, is_full=True).range == FULL
    assert guessed(1080, matrix=0).matrix == 1  # RGB's matrix makes no sense of YUV


@pytest.mark.parametrize(("tags", "notes"), [({}, 1), ({"matrix": 1}, 0)])
def test_a_guess_is_noted(tags: dict[str, int], notes: int) -> None:
    assert len(Colours.of(UNTAGGED | tags, rows=480, is_rgb=False, is_full=False)[1]) == notes


def test_rgb_is_written_as_yuv() -> None:
    colours = guessed(480, is_rgb=True)
    assert (colours.matrix, colours.range, colours.name) == (0, FULL, "RGB")
    assert colours.for_yuv() == Colours(primaries=1, transfer=13, matrix=1, range=LIMITED)


def test_hdr_has_a_name() -> None:
    assert [guessed(1080, transfer=number).hdr for number in (1, 14, 16, 18)] == [
        "", "", "PQ", "HLG",
    ]  # fmt: skip


def test_matrices_that_cannot_be_converted_are_refused() -> None:
    assert matrix_name(9, "x.mkv") == "bt2020nc"
    with pytest.raises(ImageReadError, match=r"x\.mkv: its colour matrix is number 10"):
        matrix_name(10, "x.mkv")
