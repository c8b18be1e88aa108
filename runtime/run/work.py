"""One picture in the pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runtime.image.picture import Picture
from runtime.image.strip_source import StripReader
from runtime.jobs.job import Job
from runtime.jobs.result import FileResult, Preview, Status
from runtime.jobs.stamp import SourceStamp
from runtime.report.preview import Before
from runtime.run.clip_plan import ClipPlan


@dataclass(kw_only=True)
class Work:
    """A job with what its stages found and made so far."""

    job: Job
    stamp: SourceStamp | None = None
    picture: Picture | None = None
    reader: StripReader | None = None
    """Reader used instead of the picture if the result is too large for memory."""
    clip: ClipPlan | None = None
    """Plan used instead of either for a video."""
    source_size_hw: tuple[int, int] | None = None
    target_size_hw: tuple[int, int] | None = None
    passes: int = 1
    """Number of passes through the model."""
    large_bytes: int = 0
    frames: int = 1
    before: Before | None = None
    preview: Preview | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def see(self, opened: Picture | StripReader) -> Picture:
        """Store the opened source.

        Returns:
            What tells of its size, kind and metadata.
        """
        if isinstance(opened, Picture):
            self.picture = opened
            return opened
        self.reader = opened
        return opened.header

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the duration of a stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began

    def result(self, status: Status, message: str = "") -> FileResult:
        """Return the picture's outcome."""
        done = status == "done"
        return FileResult(
            name=self.job.name,
            status=status,
            message=message,
            source_size_hw=self.source_size_hw,
            target_size_hw=self.target_size_hw if done else None,
            target=self.job.shown_target if done else None,
            seconds=round(self.seconds, 3),
            frames=self.frames,
            clip="" if self.clip is None else self.clip.clip.description,
            notes=(*self.job.notes, *self.notes) if done else (),
            preview=self.preview if done else None,
        )
