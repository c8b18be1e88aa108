"""What became of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["done", "skipped", "failed", "planned"]
"""`planned` is what a dry run says of a picture that it would upscale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """Three JPEG files in sRGB."""

    before: bytes
    """The part of the source, enlarged by bicubic interpolation."""
    after: bytes
    """The same part of the result."""
    whole: bytes
    """The whole source, reduced."""
    size_hw: tuple[int, int]
    """Of `before` and `after`, in pixels."""
    box: tuple[float, float, float, float]
    """Where the part lies: left, top, width and height, as shares of the whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileResult:
    """What became of one picture."""

    name: str
    status: Status
    message: str = ""
    """Why it failed or was skipped; empty if it was skipped because it is up to date."""
    source_size_hw: tuple[int, int] | None = None
    target_size_hw: tuple[int, int] | None = None
    target: str | None = None
    seconds: float = 0.0
    """Spent working on it, waiting left out."""
    frames: int = 1
    """Of an animation or a clip, or pages."""
    clip: str = ""
    """A clip's facts in one line; empty for a picture."""
    notes: tuple[str, ...] = ()
    preview: Preview | None = None
    """For the report that people look at, where one is written."""

    @property
    def target_mp(self) -> float:
        """Megapixels of the result, all frames counted; 0 where there is none."""
        height, width = self.target_size_hw or (0, 0)
        return self.frames * height * width / 1e6
