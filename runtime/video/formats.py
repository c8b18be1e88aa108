"""Which files are clips, and which containers results are written to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's name of what writes a container, by the suffix of its files in lower case."""

READ_ONLY_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob"),
    ".wmv",
)
"""Of containers that are read; results go into Matroska, which holds any codec."""

CLIP_SUFFIXES = frozenset({*MUXERS, *READ_ONLY_SUFFIXES})
"""Of the files that are taken for clips, in lower case."""

EXTRA = "video"
"""The extra that installs PyAV."""


def is_clip(path: Path) -> bool:
    """Whether a file is taken for a clip, judged by its name."""
    return path.suffix.lower() in CLIP_SUFFIXES


def is_writable(path: Path) -> bool:
    """Whether a result can have this name."""
    return path.suffix.lower() in MUXERS


def clip_suffix(source: Path) -> str:
    """How the name of a clip's result ends: as the source's where that can be written."""
    return source.suffix if is_writable(source) else ".mkv"


def can_read_clips() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None
