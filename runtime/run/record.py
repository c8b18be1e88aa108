"""Protocols for recording and watching the work of the stages."""

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


class Watcher(Protocol):
    """The part of `Progress` that the stages use."""

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """Start inference on a picture, or on a video of several frames."""

    def upscaled(self, share: float) -> None:
        """Update the inferred share of the current picture, in [0, 1]."""
