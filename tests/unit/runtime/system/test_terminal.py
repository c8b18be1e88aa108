from __future__ import annotations

import io

import pytest
import typer

from runtime.errors import BackendError, Cancelled, ConfigError
from runtime.system.terminal import errors_reported, printable, show_progress, show_steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ünïcödé 图片", "plain ünïcödé 图片"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("line\nbreak\ttab", r"line\nbreak\ttab"),
        ("\u202ereversed", r"\u202ereversed"),
        ("bytes \udcff", r"bytes \udcff"),
    ],
)
def test_nothing_reaches_the_terminal_as_a_command(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(("error", "code"), [(ConfigError, 2), (BackendError, 3)])
def test_an_error_is_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: type[Exception], code: int
) -> None:
    with pytest.raises(typer.Exit) as caught, errors_reported("dggn-x"):
        raise error("a\x07: do b")
    assert caught.value.exit_code == code
    assert capsys.readouterr() == ("", "dggn-x: a\\x07: do b\n")


def test_a_file_out_of_reach_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, errors_reported("dggn-x"):
        raise PermissionError(13, "Permission denied", "folder/a.onnx")
    assert caught.value.exit_code == 3
    assert capsys.readouterr() == ("", "dggn-x: folder/a.onnx: Permission denied\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, Cancelled])
def test_an_interruption_is_told_as_the_command_wants(
    capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    with pytest.raises(typer.Exit) as caught, errors_reported("dggn-x", interrupted="stopped"):
        raise error
    assert caught.value.exit_code == 130
    assert capsys.readouterr() == ("", "stopped\n")


@pytest.mark.parametrize("error", [ZeroDivisionError, OSError])
def test_what_nobody_meant_to_raise_is_not_hidden(error: type[Exception]) -> None:
    with pytest.raises(error), errors_reported("dggn-x"):
        raise error


def test_lines_are_far_apart_but_for_the_first_and_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream = io.StringIO()
    with show_progress(stream) as (say, on_progress):
        for seconds, share in ((0, 0.0), (29, 0.25), (2, 0.5), (1, 1.0)):
            now += seconds
            on_progress(f"at {share}", share)
        say("[said]")
    assert stream.getvalue() == "  0.0%  at 0.0\n 50.0%  at 0.5\n100.0%  at 1.0\n[said]\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_within_other_work_only_messages_are_logged(quiet: bool) -> None:
    stream = io.StringIO()
    with show_progress(stream, quiet=quiet, transient=True) as (say, on_progress):
        on_progress("building", 0.5)
        say("built")
    assert stream.getvalue() == ("" if quiet else "built\n")


def test_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    with show_progress(stream) as (say, on_progress):
        on_progress("[half] done", 0.5)
        say("a message")
    shown = stream.getvalue()
    assert "50%" in shown
    assert "[half] done" in shown
    assert "a message" in shown


def test_steps_are_named_once() -> None:
    stream = io.StringIO()
    with show_steps(stream) as on_progress:
        for what, share in (("reading", 0.0), ("reading", 1.0), ("searching", 0.5)):
            on_progress(what, share)
    assert stream.getvalue() == "reading\nsearching\n"


def test_steps_have_bars_on_a_terminal() -> None:
    stream = Terminal()
    with show_steps(stream) as on_progress:
        on_progress("reading", 1.0)
        on_progress("searching", 0.5)
    shown = stream.getvalue()
    assert "reading" in shown
    assert "searching" in shown


def test_a_closed_standard_error_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with show_progress() as (say, on_progress):
        say("nobody hears it")
        on_progress("nor sees it", 1.0)
