from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError, TargetError
from runtime.image.picture import Picture
from runtime.jobs.job import Job, Plan
from runtime.jobs.result import FileResult
from runtime.report.page import HtmlReport
from runtime.report.preview import Before
from runtime.report.summary import Report


def result(name: str = "a.png", **options: object) -> FileResult:
    picture = Picture(rgb_hwc=np.zeros((8, 9, 3), np.uint8))
    facts: dict[str, object] = {
        "status": "done",
        "source_size_hw": (8, 9),
        "target_size_hw": (32, 36),
        "seconds": 1.25,
        "preview": Before.of(picture, (8, 9)).beside(picture),
    }
    return FileResult(name=name, **(facts | options))  # type: ignore[arg-type]


def written(path: Path, *results: FileResult, error: str | None = None) -> str:
    report = Report(error=error, model="dggn-lite", precision="float32", runs_on="a test")
    page = HtmlReport(path)
    for one in results:
        report.totals.add(one)
        page.add(one)
    page.finish(report)
    return path.read_text(encoding="utf-8")


def test_everything_is_said(tmp_path: Path) -> None:
    text = written(
        tmp_path / "r.html",
        result(notes=("written as b.png",)),
        FileResult(name="torn.png", status="failed", message="is damaged"),
        FileResult(name="old.png", status="skipped"),
        FileResult(name="mine.png", status="skipped", message="the output exists"),
        error="the disk is full",
    )
    for part in (
        *("1 upscaled, 2 not", "9 x 8 → 36 x 32 · 1.2 s", "written as b.png"),
        *("failed: is damaged", "up to date from an earlier run", "skipped: the output exists"),
        *("the disk is full", "dggn-lite in float32 · a test"),
    ):
        assert part in text
    assert "{{" not in text
    assert text.count('type="range"') == 1


def test_what_a_stopped_run_did_not_come_to_is_counted(tmp_path: Path) -> None:
    jobs = tuple(
        Job(source=Path(f"{number}.png"), target=Path(f"out/{number}.png"), name=f"{number}.png")
        for number in range(5)
    )
    report = Report(error="interrupted", plan=Plan(jobs=jobs, folder=Path("out")))
    page = HtmlReport(tmp_path / "r.html")
    for one in (result("0.png"), FileResult(name="1.png", status="failed", message="is damaged")):
        report.totals.add(one)
        page.add(one)
    page.finish(report)
    assert "not reached: 3 pictures" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert report.as_dict()["totals"]["not_reached"] == 3


class Links(HTMLParser):
    """Collects everything that a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [
            value or "" for name, value in attrs if name in ("src", "href", "data-src", "srcset")
        ]


def test_nothing_is_loaded_from_outside(tmp_path: Path) -> None:
    text = written(tmp_path / "r.html", result())
    links = Links()
    links.feed(text)
    assert len(links.found) == 3
    for uri in links.found:
        assert base64.b64decode(uri.removeprefix("data:image/jpeg;base64,")).startswith(b"\xff\xd8")
    assert not re.search(r"https?:|@import|url\(", text)


def test_names_and_messages_cannot_become_markup(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>\n\u202e\udcff.png'
    clean, dirty = Links(), Links()
    clean.feed(written(tmp_path / "a.html", result(notes=("x",))))
    dirty.feed(written(tmp_path / "b.html", result(evil, notes=(evil,)), error=None))
    assert clean.tags == dirty.tags
    failed = written(tmp_path / "c.html", FileResult(name=evil, status="failed", message=evil))
    assert "<script>alert" not in failed


def test_the_page_is_replaced_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("before")
    page = HtmlReport(path)
    page.add(result())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    page.finish(Report())
    assert "a.png" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["photo.jpg", "report", "folder.html"])
def test_only_a_page_can_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ConfigError, match="ending in .html"):
        HtmlReport(tmp_path / name)


@pytest.mark.parametrize("folder", ["none", "x" * 300])
def test_a_folder_that_is_not_there(tmp_path: Path, folder: str) -> None:
    with pytest.raises(TargetError, match="cannot write the report"):
        HtmlReport(tmp_path / folder / "r.html")
