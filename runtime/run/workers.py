"""Upscales the jobs of a run: on this machine, or on several (`runtime.cluster`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from runtime.jobs.ends import Ledger, Source
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints
from runtime.jobs.result import FileResult
from runtime.report.progress import Progress
from runtime.run.options import Options, open_upscaler, result_bytes
from runtime.run.pipeline import Pipeline, default_jobs
from runtime.upscaler import Upscaler


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Model and settings that determine the results."""

    description: str
    """Human-readable model and backend."""
    why: str
    """That is used; may be empty."""
    model_name: str
    model_sha256: str
    precision: str
    scale: int
    tile_size: int
    overlap: int

    @classmethod
    def of(cls, upscaler: Upscaler) -> Facts:
        """Return the facts of an upscaler."""
        return cls(
            description=upscaler.description,
            why=upscaler.why,
            model_name=upscaler.model_name,
            model_sha256=upscaler.model_sha256,
            precision=upscaler.precision,
            scale=upscaler.info.scale,
            tile_size=upscaler.tile_size,
            overlap=upscaler.overlap,
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """The settings for the pictures of a run."""

    source: Source
    journal: Ledger
    fingerprints: Fingerprints
    previews: bool


class Workers(Protocol):
    """Make results."""

    facts: Facts

    def run(self, todo: Sequence[Job], order: Order) -> Iterator[FileResult]:
        """Process the jobs; call once. See `Pipeline.run`."""

    def cancel(self, *, within_s: float) -> None:
        """Stop from another thread, waiting at most `within_s` seconds.

        `run` then raises `Cancelled`.
        """


OpenWorkers = Callable[[Options, Progress], AbstractContextManager[Workers]]


class OneMachine:
    """This machine.

    Args:
        options: what is asked for.
        upscaler: to use.
        progress: told which picture is being upscaled.
    """

    def __init__(self, options: Options, upscaler: Upscaler, progress: Progress) -> None:
        self.facts = Facts.of(upscaler)
        self._options = options
        self._upscaler = upscaler
        self._progress = progress
        self._pipeline: Pipeline | None = None

    def run(self, todo: Sequence[Job], order: Order) -> Iterator[FileResult]:
        """Process the jobs; see `Pipeline.run`."""
        options = self._options
        self._pipeline = Pipeline(
            self._upscaler,
            options.settings,
            journal=order.journal,
            fingerprints=order.fingerprints,
            video=options.video,
            progress=self._progress,
            source=order.source,
            jobs=options.jobs or default_jobs(on_gpu=self._upscaler.on_gpu),
            previews=order.previews,
            memory_bytes=result_bytes(options),
            whole_bytes=result_bytes(options),
        )
        return self._pipeline.run(todo)

    def cancel(self, *, within_s: float) -> None:
        """Stop from another thread."""
        if self._pipeline:
            self._pipeline.cancel()
            self._pipeline.join(timeout_s=within_s)


@contextmanager
def open_here(options: Options, progress: Progress) -> Iterator[Workers]:
    """Use this machine.

    Raises:
        DggnError: see `Upscaler`.
    """
    with open_upscaler(options, progress) as upscaler:
        yield OneMachine(options, upscaler, progress)
