"""How far a work of many equal parts is, for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How far the work is."""

    done: int
    """Parts that are done."""

    total: int
    """All parts."""

    name: str
    """Of the newest part."""


OnCount = Callable[[Counted], None]


@contextmanager
def show_count(stream: TextIO, doing: str, unit: str) -> Iterator[OnCount]:
    """Show a bar on a terminal, a line now and then elsewhere.

    Args:
        stream: where to write.
        doing: what is being done, before the bar.
        unit: what is counted, in the plural.
    """
    if stream.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=stream)) as bars:
            bar = bars.add_task(doing)

            def advance(counted: Counted) -> None:
                bars.update(bar, completed=counted.done, total=counted.total)

            yield advance
        return
    last = time.monotonic()

    def line(counted: Counted) -> None:
        nonlocal last
        if counted.done == counted.total or time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            stream.write(f"{counted.done} of {counted.total} {unit}  {counted.name}\n")
            stream.flush()

    yield line
