from __future__ import annotations

import io
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from dggn.training.progress import show_training
from dggn.training.trainer import StepReport


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _report(step: int) -> StepReport:
    return StepReport(
        step=step,
        progress=step / 3,
        loss=0.0123,
        images_per_s=4.0,
        left_s=3700.0 - 1850.0 * (step - 1),
        psnr_db=30.0 + step,
    )


def test_without_a_terminal_the_first_and_the_last_line_are_plain() -> None:
    stream = io.StringIO()
    with show_training(stream) as progress:
        for step in (1, 2, 3):
            progress(_report(step))
    assert stream.getvalue() == (
        " 33.3%  step 1  loss 0.0123  4.0 img/s  31.00 dB  1:01:40 left\n"
        "100.0%  step 3  loss 0.0123  4.0 img/s  33.00 dB  0:00:00 left\n"
    )


def test_on_a_terminal_there_is_a_bar() -> None:
    stream = _Terminal()
    with show_training(stream) as progress:
        progress(_report(3))
    assert "step 3" in stream.getvalue()


def test_slow_steps_still_have_a_rate() -> None:
    stream = io.StringIO()
    with show_training(stream) as progress:
        progress(replace(_report(1), images_per_s=0.02461))
    assert "  0.025 img/s  " in stream.getvalue()
