"""Dropped tags are named in a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.codecs.decode import decode
from runtime.codecs.large_header import read_large_header
from tests.support.tiff_files import FULL, SRGB, Tags, tiff

PRIMARIES = (64, 100, 33, 100, 30, 100, 60, 100, 15, 100, 6, 100)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("tags", "notes"),
    [
        ({52545: b"jumb" * 9}, ["dropped: tags 52545 (content credentials)"]),
        ({285: b"Page one", 65420: (1,)}, ["dropped: tags 285 (PageName), 65420"]),
        ({319: PRIMARIES}, ["dropped: tags 319 (PrimaryChromaticities)"]),
        ({319: PRIMARIES, 34675: SRGB}, []),
        ({266: (1,), 297: (0, 1)}, []),
    ],
)
def test_tags(tmp_path: Path, tags: Tags, notes: list[str], big: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff((FULL, dict(tags)), big=big))
    assert decode(path).notes == notes
    if not big:
        assert read_large_header(path).metadata.notes == notes


def test_several_pages_and_many_tags(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    first: Tags = dict.fromkeys(range(65001, 65004), (1,))
    second: Tags = dict.fromkeys(range(65003, 65008), (1,))
    path.write_bytes(tiff((FULL, first), (FULL, second), order=">"))
    names = ", ".join(str(tag) for tag in range(65001, 65006))
    assert decode(path).notes == [f"dropped: tags {names} and more"]
