"""Tag tables of TIFF and BigTIFF files, and one-page files built from them.

Pillow sets up every page that it passes, fails at the first that it cannot decode, and lets what it
read of one page stay with the next. So pages are found here, and each is handed to Pillow as a file
of its own: the same bytes with another table behind them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from runtime.errors import ImageReadError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 65_535
_MAX_TAGS = 65_535

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_LONG, _LONGS8 = 4, (16, 18)
_NESTED = (34665, 34853, 40965)
"""EXIF, GPS and interoperability tags: their values are offsets of nested tables."""

_MAX_VALUES = 1 << 24


@dataclass(frozen=True)
class Entry:
    """Location and type of one tag's value."""

    kind: int
    count: int
    place: int

    @property
    def nbytes(self) -> int:
        """Size of the value in bytes."""
        return _SIZES.get(self.kind, 1) * self.count


class Table:
    """The tags of one page.

    Args:
        file: stays open as long as values are asked for.
        order: `<` or `>`.
        is_big: a BigTIFF's table, whose counts and places have 64 bits.
        place: offset of the table.
    """

    def __init__(self, file: IO[bytes], order: str, is_big: bool, place: int) -> None:
        self.file, self.order, self.is_big = file, order, is_big
        form, size = ("Q", 20) if is_big else ("H", 12)
        start = place + struct.calcsize(order + form)
        (count,) = struct.unpack(order + form, self._read(place, start - place))
        if count > _MAX_TAGS:
            raise ImageReadError("is damaged (a table of tags is too long): export it again")
        content = self._read(start, size * count)
        self.entries: dict[int, Entry] = {}
        for number in range(count):
            self._add(content, number * size, start)
        link = self._read(start + size * count, 8 if is_big else 4, exact=False)
        self.next: int = 0
        """Offset of the next page's table; 0 after the last."""
        if len(link) == (8 if is_big else 4):
            (self.next,) = struct.unpack(order + ("Q" if is_big else "I"), link)

    def _add(self, content: bytes, at: int, start: int) -> None:
        form = self.order + ("HHQ" if self.is_big else "HHI")
        tag, kind, count = struct.unpack_from(form, content, at)
        room = 8 if self.is_big else 4
        inside = at + struct.calcsize(form)
        place = start + inside
        if _SIZES.get(kind, 1) * count > room:
            form = self.order + ("Q" if self.is_big else "I")
            (place,) = struct.unpack_from(form, content, inside)
        self.entries.setdefault(tag, Entry(kind, count, place))

    def integers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return a tag's integers; `default` if it is missing or has none."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _INTEGERS or entry.count > _MAX_VALUES:
            return default
        content = self._read(entry.place, entry.nbytes)
        return struct.unpack(f"{self.order}{entry.count}{_INTEGERS[entry.kind]}", content)

    def integer(self, tag: int, default: int) -> int:
        """Return a tag's first integer."""
        return next(iter(self.integers(tag)), default)

    def content(self, tag: int) -> bytes:
        """Return a tag's raw bytes; empty if it is missing."""
        entry = self.entries.get(tag)
        return b"" if entry is None else self._read(entry.place, entry.nbytes)

    def nested(self, tag: int) -> Table | None:
        """Return the table that a tag points to."""
        place = self.integer(tag, 0)
        return Table(self.file, self.order, self.is_big, place) if place else None

    def _read(self, place: int, length: int, *, exact: bool = True) -> bytes:
        self.file.seek(place)
        content = self.file.read(length)
        if exact and len(content) < length:
            raise ImageReadError("is damaged (its tags are cut off): copy or export it again")
        return content


def is_tiff(begin: bytes) -> bool:
    """Return whether a file's first bytes are those of TIFF or BigTIFF."""
    return begin[:4] in MAGIC


def tables_of(file: IO[bytes]) -> list[Table]:
    """Return the tables of a file's pages, in order.

    Raises:
        ImageReadError: the first one cannot be read.
    """
    file.seek(0)
    begin = file.read(16)
    order, is_big = ("<" if begin[:2] == b"II" else ">"), begin[:4] in MAGIC[2:]
    if len(begin) < (16 if is_big else 8):
        raise ImageReadError("is damaged (it is cut off): copy or export it again")
    (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), begin, 8 if is_big else 4)
    tables: list[Table] = []
    seen: set[int] = set()
    while place and place not in seen and len(tables) < MAX_PAGES:
        seen.add(place)
        tables.append(Table(file, order, is_big, place))
        place = tables[-1].next
    if not tables:
        raise ImageReadError("is damaged (it has no page): copy or export it again")
    return tables


def single_page_tiff(
    data: bytes, table: Table, changes: Mapping[int, tuple[int, ...] | None]
) -> bytes:
    """Build a classic TIFF with one page: the file, followed by a new table.

    Args:
        data: the file that the table is in, below 4 GiB.
        table: tag table of the page; its values stay where they are.
        changes: whole numbers instead of a tag's own; None leaves the tag out.
    """
    end = len(data) + len(data) % 2
    begin = (b"II*\0" if table.order == "<" else b"MM\0*") + struct.pack(table.order + "I", end)
    content = _written(table, end, changes)
    return b"".join((begin, data[8:], bytes(len(data) % 2), content))


def _written(table: Table, place: int, changes: Mapping[int, tuple[int, ...] | None]) -> bytes:
    """Serialize a classic table for an offset."""
    tags = sorted((set(table.entries) | set(changes)) - {t for t in changes if changes[t] is None})
    behind = io.BytesIO()
    start = place + 2 + 12 * len(tags) + 4
    rows = []
    for tag in tags:
        row = _row(table, tag, changes, start + behind.tell(), behind)
        rows.append(struct.pack(table.order + "HHI", tag, *row[:2]) + row[2])
    count = struct.pack(table.order + "H", len(tags))
    return b"".join((count, *rows, bytes(4), behind.getvalue()))


def _row(
    table: Table,
    tag: int,
    changes: Mapping[int, tuple[int, ...] | None],
    place: int,
    behind: io.BytesIO,
) -> tuple[int, int, bytes]:
    """Serialize a tag's type, count and value; longer values go behind the table, at `place`."""
    entry, numbers = table.entries.get(tag), changes.get(tag)
    if numbers is None:
        assert entry is not None
        if table.is_big and tag in _NESTED and (nested := table.nested(tag)):
            content = _written(nested, place, {})
            behind.write(content + bytes(len(content) % 2))
            return _LONG, 1, struct.pack(table.order + "I", place)
        if entry.kind in _LONGS8:
            numbers = table.integers(tag)
        elif entry.nbytes <= 4:
            return entry.kind, entry.count, table.content(tag).ljust(4, b"\0")
        else:
            return entry.kind, entry.count, struct.pack(table.order + "I", entry.place)
    content = struct.pack(f"{table.order}{len(numbers)}I", *numbers)
    if len(content) <= 4:
        return _LONG, len(numbers), content.ljust(4, b"\0")
    behind.write(content)
    return _LONG, len(numbers), struct.pack(table.order + "I", place)
