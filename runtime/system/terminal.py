"""Terminal output shared by the commands: one-line errors and progress displays.

Everything goes to standard error; standard output is for results.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from runtime.errors import Cancelled, DggnError, EnvironmentProblem
from runtime.system.path_text import readable

if TYPE_CHECKING:
    from rich.progress import Progress

Say = Callable[[str], None]
"""Receives one-line status messages."""

OnProgress = Callable[[str, float], None]
"""Receives a description of the current step and the overall progress, in [0, 1]."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells: 128 + SIGINT."""

SECONDS_BETWEEN_LINES = 30.0
"""Interval between progress lines without a terminal, suited to logs."""


def printable(text: str) -> str:
    """Escape characters that could disturb a terminal."""
    return "".join(
        letter if letter.isprintable() else ascii(letter)[1:-1] for letter in readable(text)
    )


def complain(command: str, error: Exception) -> None:
    """Print an error as one line prefixed with the command's name."""
    import typer

    typer.echo(f"{command}: {printable(str(error))}", err=True)


@contextmanager
def errors_reported(command: str, *, interrupted: str = "interrupted") -> Iterator[None]:
    """Exit with one line and an exit code if the block fails or is interrupted.

    Args:
        command: its name, for example `dggn-eval`.
        interrupted: the line after Ctrl-C.

    Raises:
        typer.Exit: with the error's exit code, or 130 after Ctrl-C.
    """
    import typer

    try:
        yield
    except DggnError as error:
        complain(command, error)
        raise typer.Exit(error.exit_code) from error
    except OSError as error:
        if error.filename is None:
            raise
        complain(command, OSError(f"{error.filename}: {error.strerror}"))
        raise typer.Exit(EnvironmentProblem.exit_code) from error
    except (Cancelled, KeyboardInterrupt):
        typer.echo(interrupted, err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def show_progress(
    stream: TextIO | None = None, *, quiet: bool = False, transient: bool = False
) -> Iterator[tuple[Say, OnProgress]]:
    """Show the progress of one task: a bar on a terminal, occasional lines otherwise.

    Args:
        stream: output stream; by default standard error.
        quiet: show nothing.
        transient: for nested tasks: the bar disappears at the end, and only messages
            are shown without a terminal.

    Yields:
        Callbacks for messages and for progress, both usable from any thread.
    """
    from rich.console import Console

    stream = stream or _stderr()
    console = Console(file=stream, quiet=quiet)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    if quiet or not stream.isatty():
        yield say, _ignore if quiet or transient else _lines(stream)
        return
    with _bars(stream, console=console, transient=transient) as bars:
        task = bars.add_task("starting", total=1.0)
        yield say, lambda what, share: bars.update(task, description=what, completed=share)


@contextmanager
def show_steps(stream: TextIO | None = None) -> Iterator[OnProgress]:
    """Show the progress of several steps: a bar each on a terminal, a line each otherwise.

    Args:
        stream: output stream; by default standard error.
    """
    stream = stream or _stderr()
    if not stream.isatty():
        seen: set[str] = set()

        def line(what: str, share: float) -> None:
            if what not in seen:
                seen.add(what)
                print(printable(what), file=stream, flush=True)

        yield line
        return
    with _bars(stream) as bars:
        tasks: dict[str, Any] = {}

        def advance(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0)
            bars.update(tasks[what], completed=share)

        yield advance


def _bars(stream: TextIO, *, console: Any = None, transient: bool = False) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console or Console(file=stream),
        transient=transient,
        redirect_stdout=False,  # results go there, and would end up on the bar's stream
    )


def _lines(stream: TextIO) -> OnProgress:
    """Print the first line at once, then at intervals, and the last."""
    last = -SECONDS_BETWEEN_LINES

    def line(what: str, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or share >= 1:
            last = now
            print(f"{100 * share:5.1f}%  {printable(what)}", file=stream, flush=True)

    return line


def _ignore(what: str, share: float) -> None:
    """Show nothing."""


def _stderr() -> TextIO:
    # There is none where the caller closed it.
    return sys.stderr or io.StringIO()
