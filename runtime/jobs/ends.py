"""The interface of both ends of a run: sources and targets, in folders or stores."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol

from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp


class Source(Protocol):
    """The sources of a run. Methods are called from several threads."""

    fetchers: int
    """Threads that fetch ahead; 0 where there is nothing to fetch."""

    def fetch(self, job: Job, stop: threading.Event) -> SourceStamp:
        """Make `job.source` available, and return the version of the picture.

        Raises:
            OSError: the picture is gone, or cannot be read.
            StoreError: its store cannot be reached.
            Cancelled: `stop` was set.
        """

    def is_unchanged(self, job: Job, stamp: SourceStamp) -> bool:
        """Return whether the source still had that version after it was read.

        Raises:
            OSError: it is gone.
        """

    def release(self, job: Job) -> None:
        """Release what was fetched, once the picture has its result."""


class Ledger(Protocol):
    """The targets of a run, and the record of existing results.

    A context manager; the methods may be called from any thread. See `Journal`.
    """

    def is_done(self, job: Job, fingerprint: str) -> bool:
        """Return whether a complete result exists that would come out the same again."""

    def is_foreign(self, job: Job) -> bool:
        """Return whether the target exists, and was not made by a run."""

    def made_from(self, job: Job) -> str:
        """Return the source of the existing result, if it is another one."""

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
    """Sources that are files on this machine."""

    fetchers = 0

    def fetch(self, job: Job, stop: threading.Event) -> SourceStamp:
        """Read the stamp; see `Source.fetch`."""
        return SourceStamp.of(job.source)

    def is_unchanged(self, job: Job, stamp: SourceStamp) -> bool:
        """Compare size and time; see `Source.is_unchanged`."""
        return stamp.seems_unchanged(job.source)

    def release(self, job: Job) -> None:
        """Do nothing: it is the user's file."""
