"""How people see a build: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from export.trt.build.progress import OnProgress

Say = Callable[[str], None]


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[tuple[Say, OnProgress]]:
    """What tells people lines and progress, on stderr; nothing if it is to be quiet."""
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    if quiet or not sys.stderr.isatty():
        yield say, lambda what, share: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        redirect_stdout=False,
    ) as bars:
        task = bars.add_task("Reading the model", total=1.0)
        yield say, lambda what, share: bars.update(task, description=what, completed=share)
