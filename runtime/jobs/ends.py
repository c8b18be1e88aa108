"""The two ends of a run, wherever they are: where pictures come from, where results go."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol

from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp


class Source(Protocol):
    """Where pictures come from. Its methods are called from several threads."""

    fetchers: int
    """Threads that fetch ahead; 0 where there is nothing to fetch."""

    def fetch(self, job: Job, stop: threading.Event) -> SourceStamp:
        """See to it that `job.source` is there, and tell which version of the picture it is.

        Raises:
            OSError: the picture is gone, or cannot be read.
            StoreError: its store cannot be reached.
            Cancelled: `stop` was set.
        """

    def is_unchanged(self, job: Job, stamp: SourceStamp) -> bool:
        """Return whether that version was still there after it was read.

        Raises:
            OSError: it is gone.
        """

    def release(self, job: Job) -> None:
        """Release what was fetched, once the picture has its result."""


class Ledger(Protocol):
    """Where results go, and what is known of those that are there already.

    A context manager; the methods may be called from any thread. See `Journal`.
    """

    def is_done(self, job: Job, fingerprint: str) -> bool:
        """Return whether the result is there, complete, and would come out the same again."""

    def is_foreign(self, job: Job) -> bool:
        """Return whether there is something in its place that no run has put there."""

    def made_from(self, job: Job) -> str:
        """Return the source of the result in a job's place, if it is another one."""

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """`job.target` is about to be written."""

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """`job.target` is complete; `output_bytes` says its size where another machine wrote it."""

    def __enter__(self) -> Ledger: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Files:
    """Pictures that are files on this machine."""

    fetchers = 0

    def fetch(self, job: Job, stop: threading.Event) -> SourceStamp:
        """Read the stamp; see `Source.fetch`."""
        return SourceStamp.of(job.source)

    def is_unchanged(self, job: Job, stamp: SourceStamp) -> bool:
        """Judged by size and time; see `Source.is_unchanged`."""
        return stamp.seems_unchanged(job.source)

    def release(self, job: Job) -> None:
        """Do nothing: it is the user's."""
