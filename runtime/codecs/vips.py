"""Reads pictures too large for memory through libvips, some rows at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from runtime.codecs.large_header import LargeHeader, read_large_header
from runtime.codecs.limits import check_file, naming
from runtime.errors import ImageReadError, MissingDependency
from runtime.image.picture import Picture, Samples, repeat_grey
from runtime.image.strips import header_of, rows_of, stacked
from runtime.system.package import require

MAX_PIXELS = 1 << 32
"""Maximum pixels of a source; its result would have 69 gigapixels."""

MAX_FILE_BYTES = 1 << 42

MAX_RATIO = 400
"""Maximum bytes of samples per byte of the file. No photograph, scan or chart of that size exceeds
it; a file made to fill a disk does.
"""

HELD_BYTES_PER_PX = 8
"""Maximum bytes per pixel that libvips takes for a file that must be held whole."""

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
_LOADERS = {"PNG": "pngload_source", "JPEG": "jpegload_source", "TIFF": "tiffload_source"}


class VipsReader:
    """Reader of a file from top to bottom; see `strip_source.StripReader`.

    Args:
        path: a PNG, JPEG or TIFF file, whatever its name.
        memory_bytes: memory limit for files whose samples must be held whole.

    Raises:
        ImageReadError: it cannot be read this way; the message begins with its name and says
            why, which may be that pyvips is missing.
    """

    def __init__(self, path: Path, *, memory_bytes: int) -> None:
        self._path = path
        self._memory_bytes = memory_bytes
        with naming(path):
            check_file(path, MAX_FILE_BYTES)
            self._version = _version(path)
            facts = read_large_header(path)
            _check(facts, path.stat().st_size, memory_bytes)
            self._image = _open(path, facts)
            self.header = _header(self._image, facts)
            self._region = _region(self._image)
        self._held = rows_of(_strip(b"", self._image, 0), 0, 0)
        self._first = 0

    def rows(self, start: int, stop: int) -> Picture:
        """Read rows; see `strip_source.StripReader`."""
        assert start >= self._first, "rows are read from top to bottom"
        known = self._first + self._held.size_hw[0]
        if stop > known:
            kept = rows_of(self._held, start - self._first, self._held.size_hw[0])
            self._held = stacked(kept, self._read(known, stop))
            self._first = start
            if stop == self._image.height:
                self._check_unchanged()
        return rows_of(self._held, start - self._first, stop - self._first)

    def again(self) -> VipsReader:
        """Return a new reader; see `strip_source.StripReader`."""
        return VipsReader(self._path, memory_bytes=self._memory_bytes)

    def _read(self, start: int, stop: int) -> Picture:
        import pyvips

        try:
            # One region for all: pipelines of their own would read ahead of each other.
            data = self._region.fetch(0, start, self._image.width, stop - start)
        except pyvips.Error as error:
            self._check_unchanged()
            raise ImageReadError(
                f"{self._path.name}: is damaged ({_reason(error)}): copy or export it again"
            ) from error
        return _strip(data, self._image, stop - start)

    def _check_unchanged(self) -> None:
        if _version(self._path) != self._version:
            raise ImageReadError(
                f"{self._path.name}: the file changed while it was read: run the command again"
            )


def _version(path: Path) -> tuple[int, int] | None:
    """Return a value that changes when the file is written to; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _check(facts: LargeHeader, file_bytes: int, memory_bytes: int) -> None:
    height, width = facts.size_hw
    pixels = height * width
    if pixels > MAX_PIXELS:
        raise ImageReadError(
            f"has {width} x {height} pixels; at most {MAX_PIXELS:,} are read: cut it into parts"
        )
    if pixels > MAX_RATIO * file_bytes:
        raise ImageReadError(
            f"has {width} x {height} pixels in {file_bytes:,} bytes, which no picture has: "
            "if it is nearly empty on purpose, cut it into parts"
        )
    if facts.is_progressive and pixels * HELD_BYTES_PER_PX > memory_bytes:
        raise ImageReadError(
            "is progressive or interlaced and too large to be held whole: "
            "save it without that, or allow more with --memory"
        )


def _open(path: Path, facts: LargeHeader) -> Any:
    try:
        require("pyvips", extra="large")
    except MissingDependency as error:
        raise ImageReadError(f"is too large to be read whole: {error}") from error
    try:
        import pyvips
    except (ImportError, OSError) as error:
        raise ImageReadError(
            f"is too large to be read whole, and libvips cannot be loaded ({error}): "
            "pip install 'dggn[large]'"
        ) from error
    try:
        load = getattr(pyvips.Image, _LOADERS[facts.format_name])
        source = pyvips.Source.new_from_file(os.fsencode(path))
        options = {"page": facts.page} if facts.page else {}
        if facts.orientation == 1:
            return load(source, access="sequential", fail_on="error", **options)
        # To be turned, it must be read from any place: libvips keeps it in a file meanwhile.
        image = load(source, access="random", fail_on="error", **options).copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", facts.orientation)
        return image.autorot()
    except pyvips.Error as error:
        raise ImageReadError(
            f"cannot be opened ({_reason(error)}): it is damaged, or of a kind that is not read "
            "in strips: export it again, as grey or RGB of 8 or 16 bits"
        ) from error


def _region(image: Any) -> Any:
    import pyvips

    return pyvips.Region.new(image)


def _header(image: Any, facts: LargeHeader) -> Picture:
    if image.format not in _TYPES or image.interpretation not in ("b-w", "grey16", "srgb", "rgb16"):
        raise ImageReadError(
            f"is too large to be read whole, and its colours ({image.interpretation}, "
            f"{image.format}) are not supported in strips: convert it to 8- or 16-bit grey or RGB"
        )
    if image.bands not in (1, 3):
        raise ImageReadError(
            "is too large to be read whole, and pictures with alpha are not supported in strips: "
            "save it without alpha, cut it into parts, or allow more with --memory"
        )
    pixel = facts.metadata
    pixel.rgb_hwc = np.zeros((1, 1, 3), _TYPES[image.format])
    pixel.is_grey = image.bands == 1
    pixel.source_size_hw = (image.height, image.width)
    return header_of(pixel, (image.height, image.width))


def _strip(data: Any, image: Any, rows: int) -> Picture:
    samples: Samples = np.frombuffer(data, _TYPES[image.format])
    if image.bands == 1:
        return Picture(rgb_hwc=repeat_grey(samples.reshape(rows, image.width)), is_grey=True)
    return Picture(rgb_hwc=samples.reshape(rows, image.width, 3))


def _reason(error: Exception) -> str:
    """Return the last line of libvips's message, which names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
