"""Imports PyAV on demand, and translates its errors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from types import ModuleType
from typing import SupportsInt

from runtime.errors import ImageReadError, ImageWriteError
from runtime.system.package import load
from runtime.video.formats import EXTRA


@lru_cache(maxsize=1)
def pyav() -> ModuleType:
    """Import the module `av`.

    Raises:
        MissingDependency: it is not installed, or cannot be loaded.
    """
    # SVT-AV1 writes to standard error by itself unless told otherwise: 1 leaves errors only.
    os.environ.setdefault("SVT_LOG", "1")
    module: ModuleType = load("av", extra=EXTRA)
    # A level would have FFmpeg's threads wait for Python's lock, which their owner may hold.
    module.logging.set_level(None)
    return module


def library_versions() -> dict[str, str]:
    """Return the versions of PyAV and its libraries, on which decoded and encoded bytes depend."""
    av = pyav()
    versions = {"av": av.__version__}
    return versions | {name: str(number) for name, number in av.library_versions.items()}


def fraction(value: object) -> Fraction | None:
    """Convert PyAV's rational numbers to a fraction; return None if unknown or zero.

    PyAV 19 has a type of its own for them.
    """
    numerator, denominator = getattr(value, "numerator", 0), getattr(value, "denominator", 0)
    return Fraction(numerator, denominator) if numerator and denominator else None


def integer(value: SupportsInt | None) -> int:
    """Convert a number, treating None as 0."""
    return 0 if value is None else int(value)


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Translate PyAV's errors while a file is read."""
    try:
        yield
    except (pyav().error.FFmpegError, ValueError) as error:
        raise ImageReadError(
            f"{name}: cannot be read as a video: {reason_of(error)}. "
            "Copy or export it again, or convert it with FFmpeg"
        ) from error


@contextlib.contextmanager
def writing(name: str, remedy: str) -> Iterator[None]:
    """Translate PyAV's errors while a file is encoded or muxed.

    Args:
        name: name of the file.
        remedy: advice that ends the message.
    """
    try:
        yield
    except (pyav().error.FFmpegError, ValueError) as error:
        if isinstance(error, OSError):
            raise  # a disk error affects every file, and the caller handles it
        raise ImageWriteError(
            f"{name}: cannot be written as a video: {reason_of(error)}. {remedy}"
        ) from error


def reason_of(error: Exception) -> str:
    """Return an error's reason, with FFmpeg's last log message if there is one."""
    said = str(error).partition("last error log: ")[2].rstrip(".")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{reason} ({said})" if said and said not in reason else reason
