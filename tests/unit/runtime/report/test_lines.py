from __future__ import annotations

import pytest

from runtime.jobs.result import FileResult
from runtime.report.lines import (
    done_line,
    duration,
    needs_attention,
    planned_line,
    problem_line,
)

DONE = FileResult(
    name="a.jpg",
    status="done",
    source_size_hw=(10, 20),
    target_size_hw=(40, 80),
    target="a.png",
    seconds=1.25,
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (3599.6, "1:00:00")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_lines_name_width_before_height() -> None:
    assert done_line(DONE) == "a.jpg: 20x10 -> 80x40, 1.2 s"
    assert planned_line(DONE) == "a.jpg: 20x10 -> 80x40, into a.png"


def test_details_follow() -> None:
    result = FileResult(
        name="a.gif",
        status="done",
        source_size_hw=(1, 2),
        target_size_hw=(4, 8),
        frames=3,
        notes=("first", "second"),
    )
    assert done_line(result) == "a.gif: 2x1 -> 8x4, 0.0 s; 3 frames or pages; first; second"


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("done", "", False),
        ("skipped", "", False),
        ("skipped", "the output exists", True),
        ("failed", "is damaged", True),
    ],
)
def test_only_what_lacks_its_result_needs_attention(
    status: str, message: str, expected: bool
) -> None:
    result = FileResult(name="a.png", status=status, message=message)  # type: ignore[arg-type]
    assert needs_attention(result) == expected
    assert not expected or problem_line(result) == f"a.png: {status.upper()}: {message}"
    assert done_line(result) == "", "its sizes are not known"
