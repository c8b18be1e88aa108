"""Training progress: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dggn.training.trainer import Progress as TrainingProgress
from dggn.training.trainer import StepReport

SECONDS_BETWEEN_LINES = 30.0


def _numbers(report: StepReport) -> str:
    psnr = "" if report.psnr_db is None else f"  {report.psnr_db:.2f} dB"
    rate = (
        f"{report.images_per_s:.1f}" if report.images_per_s >= 1 else f"{report.images_per_s:.2g}"
    )
    left = timedelta(seconds=round(report.left_s))
    return f"step {report.step}  loss {report.loss:.4f}  {rate} img/s{psnr}  {left} left"


@contextmanager
def show_progress(stream: TextIO) -> Iterator[TrainingProgress]:
    """A display for :class:`Trainer` on `stream`, for as long as the context lasts."""
    if not stream.isatty():
        last = -SECONDS_BETWEEN_LINES

        def line(report: StepReport) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= SECONDS_BETWEEN_LINES or report.progress >= 1:
                last = now
                stream.write(f"{100 * report.progress:5.1f}%  {_numbers(report)}\n")
                stream.flush()

        yield line
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(file=stream),
    ) as bars:
        bar = bars.add_task("starting", total=1.0)
        yield lambda report: bars.update(
            bar, completed=report.progress, description=_numbers(report)
        )
