"""Sources read from top to bottom, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from runtime.image.picture import Picture, is_deep, with_8_bits
from runtime.image.strips import header_of, rows_of
from runtime.image.transparency import fill_transparent, without_steps


class StripReader(Protocol):
    """Reader of one picture's rows, upright, as strips."""

    @property
    def header(self) -> Picture:
        """The picture's size, kind and metadata, without its samples (`strips.header_of`)."""

    def rows(self, start: int, stop: int) -> Picture:
        """Read rows; no call may start above the previous one.

        Colours of fully transparent pixels are those of their neighbourhood, and masks have no
        steps any more (`runtime.image.transparency`).

        Raises:
            ImageReadError: the file is damaged here, or changed since it was opened.
        """

    def again(self) -> StripReader:
        """Return a new reader of the same picture, at its top.

        Raises:
            ImageReadError: the file cannot be opened any more.
        """


def strips_of(reader: StripReader, rows: int) -> Iterator[Picture]:
    """Yield all rows in strips of `rows`.

    Raises:
        ImageReadError: the file is damaged, or changed since it was opened.
    """
    height = reader.header.size_hw[0]
    for top in range(0, height, rows):
        yield reader.rows(top, min(height, top + rows))


class PictureReader:
    """Reader of a picture in memory.

    Args:
        picture: a single one; not changed.
    """

    def __init__(self, picture: Picture) -> None:
        self.header = header_of(picture)
        rgb_hwc, alpha_hw = picture.rgb_hwc, picture.alpha_hw
        if alpha_hw is not None:
            rgb_hwc = fill_transparent(rgb_hwc, alpha_hw)
            alpha_hw = without_steps(alpha_hw)
        self._samples = Picture(rgb_hwc=rgb_hwc, alpha_hw=alpha_hw, is_grey=picture.is_grey)

    def rows(self, start: int, stop: int) -> Picture:
        """Read rows; see :class:`StripReader`."""
        return rows_of(self._samples, start, stop)

    def again(self) -> StripReader:
        """Return itself, since it reads anywhere."""
        return self


class EightBitReader:
    """Reader that reduces another's strips to 8 bits, for a model that takes no more.

    Args:
        reader: a reader of any bit depth.
    """

    def __init__(self, reader: StripReader) -> None:
        self._reader = reader
        first = with_8_bits(rows_of(reader.header, 0, 1))
        self.header = header_of(first, reader.header.size_hw)
        if is_deep(reader.header):
            self.header.notes.append("reduced to 8 bits: the model takes no more")

    def rows(self, start: int, stop: int) -> Picture:
        """Read rows; see :class:`StripReader`."""
        return with_8_bits(self._reader.rows(start, stop))

    def again(self) -> StripReader:
        """Return a new reader over the restarted one."""
        return EightBitReader(self._reader.again())
