"""Formats results as text tables, JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dggn.metrics.evaluate import PictureScores, mean
from dggn.metrics.fidelity import BORDER_PX

TITLES = {
    "psnr_db": "PSNR (dB)",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "niqe": "NIQE",
    "pi": "PI",
    "features": "Features",
}
_DIGITS = {"psnr_db": 2}
_WIDTH = 9
_NAME_WIDTH = 24


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """One system's scores on one benchmark."""

    benchmark: str
    """Name of the benchmark."""

    pictures: tuple[PictureScores, ...]
    """Scores of every picture, at least one."""


def table_header(metrics: Sequence[str]) -> str:
    """Return the header of a text table."""
    return f"{'picture':<{_NAME_WIDTH}}" + "".join(f"  {TITLES[one]:>{_WIDTH}}" for one in metrics)


def table_line(name: str, scores: Mapping[str, float]) -> str:
    """Return a picture's line of a text table, or the mean's."""
    cells = (f"  {_figure(metric, value):>{_WIDTH}}" for metric, value in scores.items())
    return f"{name:<{_NAME_WIDTH}}" + "".join(cells)


def as_json(system: str, results: Sequence[BenchmarkResult]) -> str:
    """Format every score as JSON; infinite ones (the PSNR of equal pictures) are null."""
    report = {
        "model": system,
        "channel": "Y",
        "border_px": BORDER_PX,
        "benchmarks": [
            {
                "name": result.benchmark,
                "pictures": [
                    {"name": one.name, **_finite(dict(one.scores))} for one in result.pictures
                ],
                "mean": _finite(mean(result.pictures)),
            }
            for result in results
        ],
    }
    return json.dumps(report, indent=2) + "\n"


def as_csv(system: str, results: Sequence[BenchmarkResult]) -> str:
    """Format a CSV line for each picture, and one for each benchmark's mean."""
    metrics = list(results[0].pictures[0].scores)
    with io.StringIO(newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["model", "benchmark", "picture", *metrics])
        for result in results:
            for one in result.pictures:
                writer.writerow([system, result.benchmark, one.name, *one.scores.values()])
            writer.writerow([system, result.benchmark, "mean", *mean(result.pictures).values()])
        return stream.getvalue()


def as_markdown(system: str, results: Sequence[BenchmarkResult]) -> str:
    """Format the means as Markdown, one line per benchmark."""
    lines = [markdown_line(system, result) for result in results]
    return markdown_header(list(results[0].pictures[0].scores)) + "".join(lines)


def markdown_header(metrics: Sequence[str]) -> str:
    """Return the first two lines of a Markdown table."""
    return (
        f"| model | benchmark | pictures | {' | '.join(TITLES[one] for one in metrics)} |\n"
        f"| --- | --- |{' ---: |' * (1 + len(metrics))}\n"
    )


def markdown_line(system: str, result: BenchmarkResult) -> str:
    """Format a system's means on one benchmark as a line of a Markdown table."""
    figures = [_figure(metric, value) for metric, value in mean(result.pictures).items()]
    count = len(result.pictures)
    return f"| {system} | {result.benchmark} | {count} | {' | '.join(figures)} |\n"


def _figure(metric: str, value: float) -> str:
    return f"{value:.{_DIGITS.get(metric, 4)}f}"


def _finite(scores: dict[str, float]) -> dict[str, Any]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}
