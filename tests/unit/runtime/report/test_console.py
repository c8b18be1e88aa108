from __future__ import annotations

import errno
import io
import sys

import pytest

from runtime.errors import ConfigError
from runtime.report.console import choose_progress, complain, print_result
from runtime.report.progress import BarProgress, PlainProgress, QuietProgress


class Full(io.StringIO):
    """A standard output that cannot be written to."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, "No space left on device")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_results_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_result("{}") == 0
    assert capsys.readouterr() == ("{}\n", "")


def test_a_full_disk_is_an_error_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.ENOSPC))
    assert print_result("{}") == 3
    assert sys.stdout is None, "nothing is tried again at the end"
    monkeypatch.undo()
    assert capsys.readouterr().err == (
        "dggn-run: standard output cannot be written: No space left on device\n"
    )


def test_a_closed_pipe_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE))
    with pytest.raises(BrokenPipeError):
        print_result("{}")


def test_errors_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain(ConfigError("the name is \x1b[31m"))
    assert capsys.readouterr() == ("", "dggn-run: the name is \\x1b[31m\n")


@pytest.mark.parametrize(
    ("stream", "quiet", "kind"),
    [
        (Terminal(), False, BarProgress),
        (io.StringIO(), False, PlainProgress),
        (None, False, PlainProgress),
        (Terminal(), True, QuietProgress),
    ],
)
def test_progress_suits_the_stream(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, quiet: bool, kind: type
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert type(choose_progress(quiet=quiet)) is kind
