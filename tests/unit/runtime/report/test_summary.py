from __future__ import annotations

import json

from runtime.jobs.result import FileResult
from runtime.report.summary import Report, Totals

RESULTS = [
    FileResult(name="a", status="done", source_size_hw=(500, 500), target_size_hw=(2000, 1000)),
    FileResult(name="b", status="skipped"),
    FileResult(name="c", status="skipped", message="the output exists"),
    FileResult(name="d", status="failed", message="is damaged"),
    FileResult(name="e", status="planned"),
]


def totals(*results: FileResult) -> Totals:
    totals = Totals()
    for result in results:
        totals.add(result)
    return totals


def test_every_result_is_counted_once() -> None:
    found = totals(*RESULTS)
    counts = (found.done, found.up_to_date, found.skipped, found.failed, found.planned)
    assert counts == (1, 1, 1, 1, 1)
    assert found.pictures == 5
    assert found.done_mp == 2


def test_the_summary_names_what_there_was() -> None:
    assert Totals().summary == "nothing done"
    assert totals(RESULTS[1]).summary == "1 up to date"
    found = totals(*RESULTS[:4])
    found.seconds = 4
    assert found.summary == (
        "1 upscaled, 1 up to date, 1 skipped, 1 failed in 4.0 s (0.50 output megapixels per second)"
    )


def test_no_time_is_no_speed() -> None:
    assert totals(RESULTS[0]).mp_per_s == 0


def test_the_report_is_json() -> None:
    report = Report(files=list(RESULTS), totals=totals(*RESULTS), model="dggn-lite")
    found = json.loads(json.dumps(report.as_dict()))
    assert found["totals"]["output_megapixels"] == 2
    assert found["error"] is None
    assert "dry_run" not in found
    assert [file["message"] for file in found["files"]] == [
        *("", "up to date", "the output exists", "is damaged", ""),
    ]
    report.estimate = {"seconds": 3.0}
    assert report.as_dict()["dry_run"] is True
    assert report.as_dict()["estimate"] == {"seconds": 3.0}
