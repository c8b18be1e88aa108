"""How a run tells people how it goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Protocol

from runtime.jobs.result import FileResult
from runtime.report.lines import done_line, duration, needs_attention, printable, problem_line

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

Clock = Callable[[], float]


class Progress(Protocol):
    """Told how a run goes. Methods are called from several threads, each from one only."""

    def start(self, pictures: int) -> None:
        """The run begins with so many pictures to upscale."""

    def say(self, line: str) -> None:
        """Show a line that is no error."""

    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """A model is downloaded during the block; what it gives is told the bytes so far."""

    def upscaling(
        self, name: str, source_size_hw: tuple[int, int], target_size_hw: tuple[int, int]
    ) -> None:
        """The inference begins with a picture."""

    def upscaled(self, share: float) -> None:
        """The inference has done a share of its picture, in [0, 1]."""

    def finished(self, result: FileResult) -> None:
        """A picture is done, skipped or failed."""

    def stop(self) -> None:
        """The run ends, whatever the reason."""


class Pace:
    """Estimates the time left, by megapixels of the sources where they are known.

    A picture's size is known once it is decoded; for the others, the mean is taken.

    Args:
        pictures: how many there are to upscale.
        clock: seconds, monotonic.
    """

    def __init__(self, pictures: int, *, clock: Clock = time.monotonic) -> None:
        self._pictures = pictures
        self._clock = clock
        self._began_s = clock()
        self._known = 0
        # Work goes with the sources' sizes; what people count are those of the results.
        self._known_work = self._current_work = 0.0
        self._known_mp = self._current_mp = 0.0
        self._share = 1.0
        self.ended = 0

    def begin(self, source_size_hw: tuple[int, int], target_size_hw: tuple[int, int]) -> None:
        """Inference goes on to a picture of this size, and its result of that."""
        self._current_work = source_size_hw[0] * source_size_hw[1] / 1e6
        self._current_mp = target_size_hw[0] * target_size_hw[1] / 1e6
        self._known += 1
        self._known_work += self._current_work
        self._known_mp += self._current_mp
        self._share = 0.0

    def advance(self, share: float) -> None:
        """So much of the picture has been inferred."""
        self._share = share

    def end(self, *, inferred: bool) -> None:
        """A picture has its result; it may have failed before inference."""
        self.ended += 1
        if not inferred:
            self._pictures -= 1

    @property
    def done_mp(self) -> float:
        """Output megapixels inferred so far."""
        return self._known_mp - (1 - self._share) * self._current_mp

    @property
    def mp_per_s(self) -> float:
        """Output megapixels per second since the start."""
        return self.done_mp / self._passed_s

    @property
    def share(self) -> float:
        """How much of all the work is done, in [0, 1]."""
        return self._done_work / self._all_work if self._all_work else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left; None while nothing is known."""
        if not self._done_work:
            return None
        return (self._all_work - self._done_work) * self._passed_s / self._done_work

    @property
    def _passed_s(self) -> float:
        return max(self._clock() - self._began_s, 1e-6)

    @property
    def _done_work(self) -> float:
        return self._known_work - (1 - self._share) * self._current_work

    @property
    def _all_work(self) -> float:
        if not self._known:
            return 0.0
        unknown = max(0, self._pictures - self._known)
        return self._known_work * (1 + unknown / self._known)


class QuietProgress:
    """Prints errors and nothing else.

    Args:
        stream: where lines go.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def start(self, pictures: int) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""

    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Nothing."""
        return nullcontext(lambda received: None)

    def upscaling(
        self, name: str, source_size_hw: tuple[int, int], target_size_hw: tuple[int, int]
    ) -> None:
        """Nothing."""

    def upscaled(self, share: float) -> None:
        """Nothing."""

    def finished(self, result: FileResult) -> None:
        """Print it if it needs attention."""
        if needs_attention(result):
            self._print(problem_line(result))

    def stop(self) -> None:
        """Nothing."""

    def _print(self, line: str) -> None:
        print(printable(line), file=self._stream, flush=True)


class PlainProgress(QuietProgress):
    """Prints a line for every picture that is done or failed: for logs and pipes.

    Args:
        stream: where lines go.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._pictures = 0
        self._ended = 0

    def start(self, pictures: int) -> None:
        """Begin to count."""
        self._pictures = pictures

    def say(self, line: str) -> None:
        """Print it."""
        self._print(line)

    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Print a line."""
        size = "" if total_bytes is None else f" ({total_bytes / 1e6:.1f} MB)"
        self._print(f"fetching {name}{size}")
        return nullcontext(lambda received: None)

    def finished(self, result: FileResult) -> None:
        """Print a line, unless it was up to date."""
        if result.status == "skipped" or not self._pictures:
            super().finished(result)
            return
        self._ended += 1
        count = f"[{self._ended:{len(str(self._pictures))}}/{self._pictures}] "
        self._print(count + (done_line(result) or problem_line(result)))


class BarProgress(QuietProgress):
    """Draws a bar with images, output megapixels per second, time left and the current file.

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
        self._task = self._bar.add_task("", total=1.0, facts=facts(self._pace, pictures))
        self._bar.start()

    def say(self, line: str) -> None:
        """Print it above the bar."""
        self._print(line)

    @contextmanager
    def fetching(self, name: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Draw a bar of its own."""
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
            TextColumn("fetching {task.description}", markup=False),
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
        self, name: str, source_size_hw: tuple[int, int], target_size_hw: tuple[int, int]
    ) -> None:
        """Name it beside the bar."""
        self._inferring.add(name)
        self._pace.begin(source_size_hw, target_size_hw)
        self._update(description=printable(name))

    def upscaled(self, share: float) -> None:
        """Move the bar."""
        self._pace.advance(share)
        self._update()

    def finished(self, result: FileResult) -> None:
        """Print what a person should know; the bar counts the rest."""
        if needs_attention(result):
            self._print(problem_line(result))
        elif result.notes:
            self._print(f"{result.name}: {'; '.join(result.notes)}")
        if self._bar and result.status != "skipped":
            self._pace.end(inferred=result.name in self._inferring)
            self._inferring.discard(result.name)
            self._update()

    def stop(self) -> None:
        """Take the bar away."""
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
                facts=facts(self._pace, self._pictures),
            )

    def _print(self, line: str) -> None:
        if self._bar:
            text = printable(line)
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            super()._print(line)


def facts(pace: Pace, pictures: int) -> str:
    """The numbers beside the bar."""
    left = "" if pace.left_s is None else f"  {duration(pace.left_s)} left"
    return f"{pace.ended}/{pictures} images  {pace.mp_per_s:.1f} MP/s{left}"
