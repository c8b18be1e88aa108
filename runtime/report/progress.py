"""Progress displays of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Protocol

from runtime.jobs.result import FileResult
from runtime.report.lines import done_line, needs_attention, problem_line
from runtime.report.pace import Pace, pace_figures
from runtime.system.terminal import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


CLIP_LINES_S = 60.0
"""Seconds between lines about one video."""


class Watcher(Protocol):
    """The part of a run's progress that the stages report."""

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Start inference on a picture, or on a video of about this many frames."""

    def upscaled(self, share: float) -> None:
        """Update the inferred share of the current picture, in [0, 1]."""


class Progress(Watcher, Protocol):
    """Receives a run's progress. Methods are called from several threads, each from one only."""

    def start(self, pictures: int) -> None:
        """Start a run with this many pictures to upscale."""

    def say(self, line: str) -> None:
        """Show a line that is not an error."""

    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Show a model download during the block, which yields a callback for the bytes so far."""

    def finished(self, result: FileResult) -> None:
        """Report a picture that is done, skipped or failed."""

    def stop(self) -> None:
        """End the display, whatever the reason."""


class QuietProgress:
    """Display that prints only errors.

    Args:
        stream: stream to write to.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def start(self, pictures: int) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""

    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Show nothing."""
        return nullcontext(lambda received: None)

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Show nothing."""

    def upscaled(self, share: float) -> None:
        """Show nothing."""

    def finished(self, result: FileResult) -> None:
        """Print the result if it needs attention."""
        if needs_attention(result):
            self._print(problem_line(result))

    def stop(self) -> None:
        """Show nothing."""

    def _print(self, line: str) -> None:
        print(printable(line), file=self._stream, flush=True)


class PlainProgress(QuietProgress):
    """Display with a line per finished or failed picture, for logs and pipes.

    Args:
        stream: stream to write to.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._pictures = 0
        self._ended = 0
        self._clip = ""
        self._said_s = 0.0

    def start(self, pictures: int) -> None:
        """Start counting."""
        self._pictures = pictures

    def say(self, line: str) -> None:
        """Print the line."""
        self._print(line)

    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Print one line per download."""
        size = "" if total_bytes is None else f" ({total_bytes / 1e6:.1f} MB)"
        self._print(f"downloading {name}{size}")
        return nullcontext(lambda received: None)

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Remember a video, which may take hours."""
        self._clip = name if frames > 1 else ""
        self._said_s = time.monotonic()

    def upscaled(self, share: float) -> None:
        """Print the share of a video that is done, once a minute."""
        if self._clip and time.monotonic() - self._said_s >= CLIP_LINES_S:
            self._said_s = time.monotonic()
            self._print(f"{self._clip}: {100 * share:.0f} %")

    def finished(self, result: FileResult) -> None:
        """Print a line, unless the picture was up to date."""
        if result.status == "skipped" or not self._pictures:
            super().finished(result)
            return
        self._ended += 1
        count = f"[{self._ended:{len(str(self._pictures))}}/{self._pictures}] "
        self._print(count + (done_line(result) or problem_line(result)))


class BarProgress(QuietProgress):
    """Progress bar with pictures, output megapixels per second, time left and the current file.

    Args:
        stream: a terminal.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._stopping = threading.Lock()
        self._bar: RichProgress | None = None

    def start(self, pictures: int) -> None:
        """Draw the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self._pictures = pictures
        self._inferring: set[str] = set()
        self._pace = Pace(pictures)
        name_column = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._bar = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[facts]}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=name_column),
            console=Console(file=self._stream),
            transient=True,
            expand=True,
            redirect_stdout=False,  # results go there, and would end up on the bar's stream
            refresh_per_second=5,
        )
        self._task = self._bar.add_task("", total=1.0, facts=pace_figures(self._pace, pictures))
        self._bar.start()

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self._print(line)

    @contextmanager
    def fetching(self, name: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Draw a separate bar."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = bar = Progress(
            TextColumn("downloading {task.description}", markup=False),
            BarColumn(bar_width=20),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
            redirect_stdout=False,
        )
        task = bar.add_task(printable(name), total=total_bytes)
        bar.start()
        try:
            yield lambda received: bar.update(task, completed=received)
        finally:
            self.stop()

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Show the name beside the bar."""
        self._inferring.add(name)
        self._pace.begin(source_size_hw, target_size_hw, frames=frames)
        self._update(description=printable(name))

    def upscaled(self, share: float) -> None:
        """Advance the bar."""
        self._pace.advance(share)
        self._update()

    def finished(self, result: FileResult) -> None:
        """Print results that matter to the user; the bar counts the rest."""
        if needs_attention(result):
            self._print(problem_line(result))
        elif result.notes:
            self._print(f"{result.name}: {'; '.join(result.notes)}")
        if self._bar and result.status != "skipped":
            self._pace.end(inferred=result.name in self._inferring)
            self._inferring.discard(result.name)
            self._update()

    def stop(self) -> None:
        """Remove the bar."""
        # On Ctrl-C two threads come here. The second waits, because the process ends after it,
        # and the terminal must have its cursor back by then.
        with self._stopping:
            bar, self._bar = self._bar, None
            if bar:
                bar.stop()

    def _update(self, *, description: str | None = None) -> None:
        if self._bar:
            self._bar.update(
                self._task,
                completed=self._pace.share,
                description=description,
                facts=pace_figures(self._pace, self._pictures),
            )

    def _print(self, line: str) -> None:
        if self._bar:
            text = printable(line)
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            super()._print(line)
