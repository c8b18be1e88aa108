"""Container formats of videos, recognized by file suffix."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg muxers by lower-case file suffix."""

READ_ONLY_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob"),
    ".wmv",
)
"""Suffixes of containers that are only read; results go into Matroska, which holds any codec."""

CLIP_SUFFIXES = frozenset({*MUXERS, *READ_ONLY_SUFFIXES})
"""Lower-case suffixes of files treated as videos."""

EXTRA = "video"
"""The extra that installs PyAV."""


def is_clip(path: Path) -> bool:
    """Return whether a file is treated as a video, judged by its name."""
    return path.suffix.lower() in CLIP_SUFFIXES


def is_writable(path: Path) -> bool:
    """Return whether a result can have this name."""
    return path.suffix.lower() in MUXERS


def clip_suffix(source: Path) -> str:
    """Return the suffix of a video's result: the source's if it can be written, else `.mkv`."""
    return source.suffix if is_writable(source) else ".mkv"


def can_read_clips() -> bool:
    """Return whether PyAV is installed."""
    return find_spec("av") is not None
