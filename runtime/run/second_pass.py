"""A second pass through the model, for results larger than one pass can make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from runtime.image.picture import Picture
from runtime.image.strip_source import StripReader
from runtime.image.strips import header_of, rows_of, stacked
from runtime.tiles.stitch import OnTile

SECOND_PASS_NOTE = "enlarged twice: the model's own result went through it again"


class StripMaker(Protocol):
    """The part of `Upscaler` used here."""

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """Yield the result's rows from top to bottom; see `Upscaler.strips`."""


def enlarged_header(header: Picture, scale: int) -> Picture:
    """Return the header of a picture after one pass."""
    height, width = header.size_hw
    return header_of(header, (scale * height, scale * width))


class EnlargedReader:
    """Reader of the first pass's result, computed as the second pass reads it.

    Args:
        upscaler: makes the first pass.
        reader: the source, at its top.
        scale: the model's.
    """

    def __init__(self, upscaler: StripMaker, reader: StripReader, scale: int) -> None:
        self.header = enlarged_header(reader.header, scale)
        self._upscaler = upscaler
        self._reader = reader
        self._scale = scale
        self._strips = upscaler.strips(reader)
        self._held: Picture | None = None
        self._first = 0  # which row of the picture is the first one held

    def rows(self, start: int, stop: int) -> Picture:
        """Read rows; see `StripReader`."""
        held = self._held
        while held is None or self._first + held.size_hw[0] < stop:
            strip = next(self._strips)
            held = strip if held is None else stacked(held, strip)
        needless = min(start - self._first, held.size_hw[0])
        self._held = held = rows_of(held, needless, held.size_hw[0])
        self._first += needless
        return rows_of(held, 0, stop - start)

    def again(self) -> StripReader:
        """Return a new reader, at the top."""
        return EnlargedReader(self._upscaler, self._reader.again(), self._scale)


def two_pass_progress(on_tile: OnTile, scale: int) -> tuple[OnTile, OnTile]:
    """Split one progress callback over two passes; the second takes `scale`² times as long."""
    first = 1 / (1 + scale**2)
    return (lambda share: on_tile(first * share)), (
        lambda share: on_tile(first + (1 - first) * share)
    )
