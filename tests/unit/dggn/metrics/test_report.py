from __future__ import annotations

import csv
import io
import json
import math

from dggn.metrics.evaluate import PictureScores
from dggn.metrics.report import (
    BenchmarkResult,
    as_csv,
    as_json,
    as_markdown,
    table_header,
    table_line,
)

RESULTS = [
    BenchmarkResult(
        benchmark="Set2",
        pictures=(
            PictureScores(name="a.png", scores={"psnr_db": 30.0, "ssim": 0.8, "lpips": 0.25}),
            PictureScores(name="b.png", scores={"psnr_db": math.inf, "ssim": 1.0, "lpips": 0.0}),
        ),
    )
]


def test_json_has_every_figure_and_no_infinity() -> None:
    report = json.loads(as_json("m", RESULTS), parse_constant=lambda name: 1 / 0)
    assert (report["model"], report["channel"], report["border_px"]) == ("m", "Y", 4)
    (benchmark,) = report["benchmarks"]
    assert benchmark["pictures"][0] == {"name": "a.png", "psnr_db": 30, "ssim": 0.8, "lpips": 0.25}
    assert benchmark["pictures"][1]["psnr_db"] is None
    assert benchmark["mean"] == {"psnr_db": None, "ssim": 0.9, "lpips": 0.125}


def test_csv_is_a_line_a_picture() -> None:
    header, *lines = csv.reader(io.StringIO(as_csv("m", RESULTS)))
    assert header == ["model", "benchmark", "picture", "psnr_db", "ssim", "lpips"]
    assert [line[2] for line in lines] == ["a.png", "b.png", "mean"]
    assert lines[0] == ["m", "Set2", "a.png", "30.0", "0.8", "0.25"]


def test_markdown_has_the_means() -> None:
    assert as_markdown("m", RESULTS).splitlines() == [
        "| model | benchmark | pictures | PSNR (dB) | SSIM | LPIPS |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| m | Set2 | 2 | inf | 0.9000 | 0.1250 |",
    ]


def test_table_columns_line_up() -> None:
    one = RESULTS[0].pictures[0]
    header, line = table_header(list(one.scores)), table_line(one.name, one.scores)
    assert len(header) == len(line)
    assert line.split() == ["a.png", "30.00", "0.8000", "0.2500"]
