"""The protocol for recording the work of the stages."""

from __future__ import annotations

from typing import Protocol

from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp


class Record(Protocol):
    """The part of `Journal` that the stages use."""

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """Record that a result is about to be written."""

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """Record that a result is complete."""
