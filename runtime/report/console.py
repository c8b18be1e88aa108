"""Output of `dggn-run`: results on standard output, everything else on standard error."""

from __future__ import annotations

import errno
import io
import sys

import typer

from runtime.backends.fetch import local_model
from runtime.errors import TargetError
from runtime.report.progress import BarProgress, PlainProgress, Progress, QuietProgress
from runtime.system import terminal


def print_result(text: str) -> int:
    """Write to standard output.

    Returns:
        The exit code where that is full or closed; else 0.
    """
    if sys.stdout is None:
        complain(TargetError("standard output is closed, and the report was to go there"))
        return TargetError.exit_code
    try:
        typer.echo(text)
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # whoever read it has enough; the library ends the command quietly
        # What is still held back would be tried again at the end, with a traceback.
        sys.stdout = None
        complain(TargetError(f"standard output cannot be written: {error.strerror or error}"))
        return TargetError.exit_code
    return 0


def choose_progress(*, quiet: bool) -> Progress:
    """Choose a bar on a terminal, lines elsewhere, or errors only."""
    # There is none where the caller closed it, and print(file=None) would go to the results.
    stream = sys.stderr or io.StringIO()
    if quiet:
        return QuietProgress(stream)
    if stream.isatty():
        return BarProgress(stream)
    return PlainProgress(stream)


def fetched_model(model: str) -> str:
    """Return a model's name or path; a URL is downloaded first, with a progress bar.

    Raises:
        DggnError: see `local_model`.
    """
    progress = choose_progress(quiet=False)
    return local_model(model, say=progress.say, bar=progress.fetching)


def complain(error: Exception) -> None:
    """Print an error of `dggn-run` as one line on standard error."""
    terminal.complain("dggn-run", error)
