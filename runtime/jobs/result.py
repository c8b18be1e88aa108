"""The outcome of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["done", "skipped", "failed", "planned"]
"""Outcome; a dry run reports `planned` for a picture that it would upscale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """Three JPEG files in sRGB."""

    before: bytes
    """Detail of the source, enlarged by bicubic interpolation."""
    after: bytes
    """The same detail of the result."""
    whole: bytes
    """The whole source, reduced."""
    size_hw: tuple[int, int]
    """Size of `before` and `after`, in pixels."""
    box: tuple[float, float, float, float]
    """Position of the detail: left, top, width and height, as fractions of the whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileResult:
    """The outcome of one picture."""

    name: str
    status: Status
    message: str = ""
    """Reason for failing or being skipped; empty if it is up to date."""
    source_size_hw: tuple[int, int] | None = None
    target_size_hw: tuple[int, int] | None = None
    target: str | None = None
    seconds: float = 0.0
    """Processing time, without waiting."""
    frames: int = 1
    """Number of frames or pages."""
    clip: str = ""
    """One-line description of a video; empty for a picture."""
    notes: tuple[str, ...] = ()
    preview: Preview | None = None
    """Preview for the HTML report, if one is written."""

    @property
    def target_mp(self) -> float:
        """Megapixels of the result over all frames; 0 if there is none."""
        height, width = self.target_size_hw or (0, 0)
        return self.frames * height * width / 1e6
