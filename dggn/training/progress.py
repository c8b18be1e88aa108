"""Training progress: a bar on a terminal, occasional lines otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

from dggn.training.trainer import Progress as TrainingProgress
from dggn.training.trainer import StepReport
from runtime.system.terminal import show_progress


def _numbers(report: StepReport) -> str:
    psnr = "" if report.psnr_db is None else f"  {report.psnr_db:.2f} dB"
    rate = (
        f"{report.images_per_s:.1f}" if report.images_per_s >= 1 else f"{report.images_per_s:.2g}"
    )
    left = timedelta(seconds=round(report.left_s))
    return f"step {report.step}  loss {report.loss:.4f}  {rate} img/s{psnr}  {left} left"


@contextmanager
def show_training(stream: TextIO) -> Iterator[TrainingProgress]:
    """Show a :class:`Trainer`'s steps on `stream` for as long as the context lasts."""
    with show_progress(stream) as (_, on_progress):
        yield lambda report: on_progress(_numbers(report), report.progress)
