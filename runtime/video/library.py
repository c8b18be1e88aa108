"""PyAV, imported when it is needed, and its errors in our own words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from types import ModuleType
from typing import SupportsInt

from runtime.errors import ImageError, ImageReadError, ImageWriteError
from runtime.system.package import load
from runtime.video.formats import EXTRA


@lru_cache(maxsize=1)
def pyav() -> ModuleType:
    """The module `av`.

    Raises:
        MissingDependency: it is not installed, or cannot be loaded.
    """
    # SVT-AV1 writes to standard error by itself unless told otherwise: 1 leaves errors only.
    os.environ.setdefault("SVT_LOG", "1")
    module: ModuleType = load("av", extra=EXTRA)
    module.logging.set_level(module.logging.PANIC)
    return module


def library_versions() -> dict[str, str]:
    """Versions of what decodes and encodes: with other ones, frames or packets may differ."""
    av = pyav()
    versions = {"av": av.__version__}
    return versions | {name: str(number) for name, number in av.library_versions.items()}


def fraction(value: object) -> Fraction | None:
    """A number of PyAV's as a fraction; None where it is unknown, which FFmpeg writes as 0/1 too.

    Newer versions have a type of their own for it.
    """
    numerator, denominator = getattr(value, "numerator", 0), getattr(value, "denominator", 0)
    return Fraction(numerator, denominator) if numerator and denominator else None


def integer(value: SupportsInt | None) -> int:
    """A number that FFmpeg may not know; 0 then."""
    return 0 if value is None else int(value)


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Translate what PyAV raises while a file is read."""
    with _translated(
        lambda reason: ImageReadError(
            f"{name}: cannot be read as a video: {reason}. Get it again, or convert it with FFmpeg"
        )
    ):
        yield


@contextlib.contextmanager
def writing(name: str, remedy: str) -> Iterator[None]:
    """Translate what PyAV raises while a file is encoded or put together.

    Args:
        name: of the file.
        remedy: what to do about it.
    """
    with _translated(
        lambda reason: ImageWriteError(f"{name}: cannot be written as a video: {reason}. {remedy}")
    ):
        yield


@contextlib.contextmanager
def _translated(translate: Callable[[str], ImageError]) -> Iterator[None]:
    error_type = pyav().error.FFmpegError
    try:
        yield
    except (error_type, ValueError) as error:
        if isinstance(error, OSError):
            raise  # of the disk: it concerns every file, and is told so elsewhere
        raise translate(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """What went wrong, with the last word of the library that failed, where it had any."""
    said = str(error).partition("last error log: ")[2].rstrip(".")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{reason} ({said})" if said and said not in reason else reason
