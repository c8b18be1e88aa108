"""The pages of a TIFF file that are pictures, and their masks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

from runtime.codecs.tiff_layout import Layout, layout_of
from runtime.codecs.tiff_leftovers import tiff_leftovers
from runtime.codecs.tiff_tags import Table, tables_of
from runtime.errors import ImageReadError

_SUBFILE, _OLD_SUBFILE, _PHOTOMETRIC, _FURTHER, _DNG = 254, 255, 262, 330, 50706
_DESCRIPTION, _MAX_DESCRIPTION_BYTES = 270, 1 << 20
_IS_REDUCED, _IS_MASK = 1, 4
_OLD_REDUCED, _MASK_COLOURS = 2, 4


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that is a picture."""

    number: int | None
    """Page number in the file; None for a picture in a page's sub-directory."""
    table: Table
    layout: Layout
    mask: Table | None = None
    """Page of the same size that marks the opaque pixels."""

    @property
    def has_alpha(self) -> bool:
        """Whether the picture is or may be transparent anywhere."""
        return self.layout.alpha is not None or self.mask is not None


def pages_of(file: IO[bytes]) -> tuple[list[Page], list[str]]:
    """Return a file's pictures, at least one, and notes on omitted pages.

    Args:
        file: a TIFF file, which stays open as long as the pages are used.

    Raises:
        ImageReadError: there is none, or one is of a kind that is not read.
    """
    tables = tables_of(file)
    _check_stack(tables)
    found: list[tuple[int | None, Table]] = []
    masks: dict[int, Table] = {}  # by the place in `found`
    reduced = lost_masks = 0
    for number, table in enumerate(tables):
        if inner := _pictures_that_it_reduces(table):
            found += [(None, one) for one in inner]
            reduced += 1
        elif _is_reduced(table):
            reduced += 1
        elif _is_mask(table):
            last = len(found) - 1
            if found and last not in masks and _same_size(table, found[last][1]):
                masks[last] = table
            else:
                lost_masks += 1
        else:
            found.append((number, table))
    if not found:
        raise _only_reduced(tables)
    pages = [
        Page(number=number, table=table, layout=layout_of(table), mask=masks.get(place))
        for place, (number, table) in enumerate(found)
    ]
    notes = []
    if reduced:
        notes.append(f"dropped: reduced copies of pages ({reduced})")
    lost_masks += sum(page.mask is not None and page.layout.alpha is not None for page in pages)
    if lost_masks:
        notes.append(f"dropped: transparency masks that match no page ({lost_masks})")
    if any(_has_further_pictures(page.table) for page in pages if page.number is not None):
        notes.append("dropped: further pictures inside pages (in sub-directories)")
    return pages, notes + tiff_leftovers(page.table for page in pages)


def _check_stack(tables: list[Table]) -> None:
    """Refuse ImageJ's large stacks, in which only the first image has a table.

    Raises:
        ImageReadError: it is one.
    """
    entry = tables[0].entries.get(_DESCRIPTION)
    if entry is None or entry.nbytes > _MAX_DESCRIPTION_BYTES:
        return
    try:
        text = tables[0].content(_DESCRIPTION)
    except ImageReadError:
        return  # a damaged description costs no picture
    count = re.search(rb"(?m)^images=(\d{1,9})\s*$", text)
    if text.startswith(b"ImageJ=") and count and int(count[1]) > len(tables):
        raise ImageReadError(
            f"is a stack of {int(count[1])} images that only ImageJ finds in it: save it there as "
            "an image sequence"
        )


def _same_size(one: Table, other: Table) -> bool:
    return all(one.integer(tag, 0) == other.integer(tag, 0) for tag in (256, 257))


def _is_reduced(table: Table) -> bool:
    kind = table.integer(_SUBFILE, 0)
    return bool(kind & _IS_REDUCED) or table.integer(_OLD_SUBFILE, 0) == _OLD_REDUCED


def _is_mask(table: Table) -> bool:
    kind = table.integer(_SUBFILE, 0)
    return bool(kind & _IS_MASK) or table.integer(_PHOTOMETRIC, 0) == _MASK_COLOURS


def _pixels(table: Table) -> int:
    return table.integer(256, 0) * table.integer(257, 0)


def _inside(table: Table) -> list[Table | None]:
    """List a page's sub-directories except reduced copies and masks; None if unreadable."""
    inner: list[Table | None] = []
    for place in table.integers(_FURTHER):
        try:
            one = Table(table.file, table.order, table.is_big, place)
            if not _is_reduced(one) and not _is_mask(one):
                inner.append(one)
        except ImageReadError:
            inner.append(None)
    return inner


def _pictures_that_it_reduces(table: Table) -> list[Table]:
    """List pictures in the sub-directories of a page that is a reduced copy, by tag or size."""
    inner = [one for one in _inside(table) if one is not None]
    if _is_reduced(table):
        return inner
    return [one for one in inner if _pixels(one) > _pixels(table)]


def _has_further_pictures(table: Table) -> bool:
    return bool(_inside(table))


def _only_reduced(tables: list[Table]) -> ImageReadError:
    if any(_DNG in table.entries or _FURTHER in table.entries for table in tables):
        return ImageReadError(
            "is a camera raw file, of which only the preview could be read: develop it with a "
            "raw converter, and save it as TIFF of 16 bits"
        )
    return ImageReadError(
        "holds only a reduced copy or a mask of a picture, not the picture: export it again"
    )
