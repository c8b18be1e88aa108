from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from PIL import Image, ImageSequence

from runtime.codecs.tiff_tags import Table, is_tiff, single_page_tiff, tables_of
from runtime.errors import ImageReadError

SHORT, LONG, ASCII = 3, 4, 2


def table(*rows: tuple[int, int, int, bytes], link: int = 0, order: str = "<") -> bytes:
    out = struct.pack(f"{order}H", len(rows))
    for tag, kind, count, value in rows:
        out += struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")
    return out + struct.pack(f"{order}I", link)


def parsed(data: bytes, place: int = 0, order: str = "<") -> Table:
    return Table(io.BytesIO(data), order, False, place)


@pytest.mark.parametrize("order", ["<", ">"])
def test_values_inside_and_outside_of_the_table(order: str) -> None:
    outside = struct.pack(f"{order}3H", 7, 8, 9)
    rows = (
        (256, SHORT, 2, struct.pack(f"{order}2H", 5, 6)),
        (258, SHORT, 3, struct.pack(f"{order}I", 2 + 2 * 12 + 4)),
    )
    found = parsed(table(*rows, link=99, order=order) + outside, order=order)
    assert found.integers(256) == (5, 6)
    assert found.integers(258) == (7, 8, 9)
    assert found.content(258) == outside
    assert found.integer(256, 0) == 5
    assert found.next == 99


def test_what_is_missing_or_no_integer() -> None:
    found = parsed(table((270, ASCII, 3, b"hi\0")))
    assert found.integers(256, (1,)) == (1,)
    assert found.integers(270, (1,)) == (1,)
    assert found.content(270) == b"hi\0"
    assert found.content(256) == b""
    assert found.integer(256, 4) == 4
    assert found.nested(34665) is None


def test_the_first_of_two_equal_tags_counts() -> None:
    one, two = ((256, LONG, 1, struct.pack("<I", value)) for value in (1, 2))
    assert parsed(table(one, two)).integer(256, 0) == 1


def test_a_nested_table() -> None:
    inner = table((36867, ASCII, 2, b"x\0"))
    outer = table((34665, LONG, 1, struct.pack("<I", 18)))
    nested = parsed(outer + inner).nested(34665)
    assert nested is not None
    assert nested.content(36867) == b"x\0"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "tags are cut off"),
        (table((256, LONG, 1, b""))[:9], "tags are cut off"),
    ],
)
def test_damaged_tables(data: bytes, said: str) -> None:
    with pytest.raises(ImageReadError, match=said):
        parsed(data)


def test_a_table_of_a_bigtiff_may_claim_any_length() -> None:
    with pytest.raises(ImageReadError, match="table of tags is too long"):
        Table(io.BytesIO(struct.pack("<Q", 1 << 40)), "<", True, 0)


def pages() -> bytes:
    file = io.BytesIO()
    first, *others = (Image.new("L", (6 + one, 5), 50 * one) for one in range(3))
    first.save(file, "TIFF", save_all=True, append_images=others)
    return file.getvalue()


def test_every_page_has_its_table() -> None:
    assert is_tiff(pages())
    widths = [one.integer(256, 0) for one in tables_of(io.BytesIO(pages()))]
    assert widths == [6, 7, 8]


def test_a_link_to_an_earlier_table_ends_the_list() -> None:
    rows = table((256, SHORT, 1, b"\6\0"), link=8)
    found = tables_of(io.BytesIO(struct.pack("<2sHI", b"II", 42, 8) + rows))
    assert len(found) == 1


def test_a_page_becomes_a_file_of_its_own() -> None:
    data = pages()
    second = tables_of(io.BytesIO(data))[1]
    changes: dict[int, Any] = {269: (65,), 305: None}
    with Image.open(io.BytesIO(single_page_tiff(data, second, changes))) as image:
        assert len(list(ImageSequence.Iterator(image))) == 1
        assert image.size == (7, 5)
        assert image.getpixel((0, 0)) == 50


@pytest.mark.parametrize(
    "begin", [b"", b"II", b"\x89PNG", b"II\x2a", b"MM\x2a\0", b"II\0\x2a"], ids=repr
)
def test_what_is_no_tiff(begin: bytes) -> None:
    assert not is_tiff(begin)
