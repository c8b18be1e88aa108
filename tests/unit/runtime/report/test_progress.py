from __future__ import annotations

import io
import sys
import threading
import time
from dataclasses import replace

import pytest

from runtime.jobs.result import FileResult
from runtime.report.lines import duration, planned_line
from runtime.report.pace import Pace, pace_figures
from runtime.report.progress import BarProgress, PlainProgress, QuietProgress
from runtime.system.terminal import printable

DONE = FileResult(
    name="a.png",
    status="done",
    source_size_hw=(20, 24),
    target_size_hw=(80, 96),
    seconds=1.23,
    notes=("alpha was flattened",),
)
FAILED = FileResult(name="b.png", status="failed", message="the file is empty")
FOREIGN = FileResult(name="c.png", status="skipped", message="exists")
UP_TO_DATE = FileResult(name="d.png", status="skipped")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_planned_line_tells_notes_once_and_no_time() -> None:
    planned = replace(DONE, status="planned", target="out/a.png", notes=("in strips, being large",))
    expected = "a.png: 24x20 -> 96x80, into out/a.png; in strips, being large"
    assert planned_line(planned) == expected
    animation = replace(planned, frames=4, notes=())
    assert planned_line(animation) == "a.png: 24x20 -> 96x80, into out/a.png; 4 frames or pages"


def test_pace_counts_output_megapixels() -> None:
    clock = Clock()
    pace = Pace(4, clock=clock)
    assert (pace.done_mp, pace.share, pace.left_s) == (0, 0, None)
    pace.begin((500, 500), (2000, 2000))  # 4 output megapixels
    clock.now_s = 2
    pace.advance(0.5)
    assert pace.done_mp == pytest.approx(2)
    assert pace.mp_per_s == pytest.approx(1)
    assert pace.share == pytest.approx(2 / 16)
    assert pace.left_s == pytest.approx(14), "the other three are taken to be as large"
    clock.now_s = 4
    pace.advance(1.0)
    pace.begin((1000, 1000), (4000, 4000))  # 16 more
    assert pace.left_s == pytest.approx(16 + 2 * 10)
    assert pace.share == pytest.approx(4 / 40)


def test_pace_leaves_out_what_failed_before_inference() -> None:
    clock = Clock()
    pace = Pace(3, clock=clock)
    pace.begin((500, 1000), (1000, 2000))
    pace.end(inferred=False)
    clock.now_s = 1
    pace.advance(1.0)
    pace.end(inferred=True)
    assert pace.ended == 2
    assert pace.left_s == pytest.approx(1)
    pace.begin((500, 1000), (1000, 2000))
    pace.advance(1.0)
    assert (pace.share, pace.left_s) == (1, 0)
    assert pace_figures(pace, 3) == "2/3 images  4.0 MP/s  0:00 left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (7, "0:07"), (750, "12:30"), (10815.2, "3:00:15")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.finished(UP_TO_DATE)
    progress.finished(FOREIGN)
    progress.say("a model")
    progress.start(10)
    progress.upscaling("a.png", (20, 24), (80, 96))
    progress.upscaled(0.5)
    progress.finished(DONE)
    progress.finished(FAILED)
    progress.stop()
    assert stream.getvalue().splitlines() == [
        "c.png: SKIPPED: exists",
        "a model",
        "[ 1/10] a.png: 24x20 -> 96x80, 1.2 s; alpha was flattened",
        "[ 2/10] b.png: FAILED: the file is empty",
    ]


def test_a_failure_before_the_start_is_a_plain_line_too() -> None:
    stream = io.StringIO()
    PlainProgress(stream).finished(FAILED)
    assert stream.getvalue() == "b.png: FAILED: the file is empty\n"


def test_quiet_prints_problems_only() -> None:
    stream = io.StringIO()
    progress = QuietProgress(stream)
    progress.start(4)
    progress.say("a model")
    for result in (DONE, FAILED, FOREIGN, UP_TO_DATE):
        progress.finished(result)
    progress.stop()
    assert stream.getvalue().splitlines() == [
        "b.png: FAILED: the file is empty",
        "c.png: SKIPPED: exists",
    ]


def test_bar_prints_notes_and_problems_above_itself() -> None:
    stream = io.StringIO()
    progress = BarProgress(stream)
    progress.say("a model [not markup]")
    progress.start(2)
    progress.upscaling("a.png", (20, 24), (80, 96))
    progress.upscaled(1.0)
    progress.finished(DONE)
    progress.finished(FAILED)
    progress.stop()
    progress.stop()
    progress.say("a summary")
    lines = [line for line in stream.getvalue().splitlines() if line]
    assert lines[0] == "a model [not markup]"
    assert "a.png: alpha was flattened" in lines
    assert "b.png: FAILED: the file is empty" in lines
    assert lines[-1] == "a summary"


def test_bar_is_gone_when_a_second_stop_returns() -> None:
    """On Ctrl-C the process ends after the second `stop`, even if the first is still running."""
    progress = BarProgress(io.StringIO())
    progress.start(1)
    assert progress._bar
    stop_bar, ended = progress._bar.stop, []
    begun = threading.Event()

    def slow() -> None:
        begun.set()
        time.sleep(0.2)
        stop_bar()
        ended.append(True)

    progress._bar.stop = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=progress.stop)
    thread.start()
    assert begun.wait(60)
    progress.stop()
    assert ended
    thread.join()


def test_bar_leaves_standard_output_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich treats the stream as a terminal
    progress = BarProgress(io.StringIO())
    before = sys.stdout
    progress.start(1)
    during = sys.stdout
    progress.stop()
    assert during is before


def test_names_cannot_drive_the_terminal() -> None:
    assert printable("ä 圖 \x1b[31m\n\udcff") == "ä 圖 \\x1b[31m\\n\\udcff"
