"""What the stages tell of their work, and to whom."""

from __future__ import annotations

from typing import Protocol

from runtime.jobs.plan import Job
from runtime.jobs.stamp import SourceStamp


class Record(Protocol):
    """The part of `Journal` that the stages need."""

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """A result is about to be written."""

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """It is complete."""


class Watcher(Protocol):
    """The part of `Progress` that the stages need."""

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        """The inference begins with a picture, or a video of several frames."""

    def upscaled(self, share: float) -> None:
        """The inference has done a share of its picture, in [0, 1]."""
