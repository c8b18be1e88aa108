"""BMP run lengths, with moves, early ends and overlong runs."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.codecs.decode import decode
from runtime.errors import ImageReadError

COLOURS = np.random.default_rng(1).integers(1, 256, (16, 3), np.uint8)
END_OF_ROW, END = b"\0\0", b"\0\1"
SKIPPED = "pixels that its run lengths skip became transparent"


def bmp(runs: bytes, *, bits: int, header: int = 40, top_down: bool = False) -> bytes:
    """4 rows of 7 pixels."""
    method = {8: 1, 4: 2, 24: 4}[bits]
    palette = b"".join(bytes((*colour[::-1], 0)) for colour in COLOURS) if bits < 24 else b""
    start = 14 + header + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII", header, 7, -4 if top_down else 4, 1, bits, method, 0, 0, 0, 16, 0
    )
    return (
        struct.pack("<2sIII", b"BM", start + len(runs), 0, start)
        + info.ljust(header, b"\0")
        + palette
        + runs
    )


def encoded(indices: NDArray[np.int_], bits: int, *, stated: bool) -> bytes:
    """Rows from the bottom up, in runs of one pixel or in stated ones."""
    rows = []
    for row in indices[::-1]:
        if stated:
            values = [*row, 0] if bits == 4 else [*row]
            content = bytes(values)
            if bits == 4:
                content = bytes(a << 4 | b for a, b in zip(values[::2], values[1::2], strict=True))
            if bits == 24:
                content = b"".join(bytes(COLOURS[index][::-1]) for index in row)
            rows.append(bytes((0, 7)) + content + bytes(len(content) % 2))
        elif bits == 24:
            rows.append(b"".join(b"\1" + bytes(COLOURS[index][::-1]) for index in row))
        else:
            shift = 4 if bits == 4 else 0
            rows.append(b"".join(bytes((1, index << shift)) for index in row))
    return END_OF_ROW.join(rows) + END


@pytest.mark.parametrize(
    ("bits", "header"), [(8, 40), (8, 64), (8, 124), (4, 40), (4, 64), (24, 64)]
)
@pytest.mark.parametrize("stated", [False, True])
def test_all_pixels(tmp_path: Path, bits: int, header: int, stated: bool) -> None:
    indices = np.arange(28).reshape(4, 7) % 16
    path = tmp_path / "a.bmp"
    for end in (None, -2):  # the mark of the end may be missing
        path.write_bytes(bmp(encoded(indices, bits, stated=stated)[:end], bits=bits, header=header))
        picture = decode(path)
        np.testing.assert_array_equal(picture.rgb_hwc, COLOURS[indices])
        assert (picture.alpha_hw, picture.notes) == (None, [])


def test_top_down(tmp_path: Path) -> None:
    indices = np.arange(28).reshape(4, 7) % 16
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp(encoded(indices, 8, stated=True), bits=8, top_down=True))
    np.testing.assert_array_equal(decode(path).rgb_hwc, COLOURS[indices[::-1]])


@pytest.mark.parametrize(
    ("bits", "runs"),
    [
        (8, b"\3\5" + END_OF_ROW + b"\0\2\2\1" + b"\0\3\7\x08\x09\0" + b"\x09\1" + END),
        (4, b"\3\x55" + END_OF_ROW + b"\0\2\2\1" + b"\0\3\x78\x90" + b"\x09\x11" + END),
    ],
)
def test_what_is_left_out_is_transparent(tmp_path: Path, bits: int, runs: bytes) -> None:
    """Left out by a move, or an early end of a row or the picture; a run may exceed its row."""
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp(runs, bits=bits))
    expected = np.full((4, 7), -1)
    expected[3, :3] = 5
    expected[1, 2:7] = 7, 8, 9, 1, 1
    picture = decode(path)
    assert picture.alpha_hw is not None
    np.testing.assert_array_equal(picture.alpha_hw, np.where(expected < 0, 0, 255))
    drawn = expected >= 0
    np.testing.assert_array_equal(picture.rgb_hwc[drawn], COLOURS[expected[drawn]])
    assert picture.notes == [SKIPPED]


@pytest.mark.parametrize("runs", [b"", b"\7\1" + END_OF_ROW, b"\7\1\0\2\1", b"\0\7\1\1"])
def test_runs_that_end_early_are_damage(tmp_path: Path, runs: bytes) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp(runs, bits=8))
    with pytest.raises(ImageReadError, match="its samples end early"):
        decode(path)
