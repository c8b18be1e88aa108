"""GIF frames as browsers compose them, following the format's specification."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.errors import ImageReadError
from tests.support.composed_frames import BLUE, GREEN, NOTHING, RED, painted, seen

PALETTE = bytes((*RED[:3], *GREEN[:3], *BLUE[:3], 9, 9, 9))
NO_CLEAR = None


def gif(
    frames: Sequence[tuple[int, int, int, int, int, int, int | None]],
    *,
    screen: tuple[int, int] = (8, 8),
    background: int = 3,
) -> bytes:
    """Frames of one colour: index, left, top, width, height, disposal and transparent index."""
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, background, 0) + PALETTE
    for index, left, top, width, height, disposal, clear in frames:
        flags = disposal << 2 | (clear is not None)
        out += b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 7, clear or 0, 0)
        image = Image.new("P", (width, height), index)
        image.putpalette(PALETTE)
        file = io.BytesIO()
        image.save(file, "GIF", optimize=False)
        data = file.getvalue()
        at = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
        own = data[at + 9]
        samples = at + 10 + (3 * 2 ** ((own & 7) + 1) if own & 0x80 else 0)
        out += struct.pack("<B4HB", 0x2C, left, top, width, height, 0) + data[samples:-1]
    return out + b";"


def test_gif_areas_are_cleared_to_transparent(tmp_path: Path) -> None:
    data = gif(
        [
            (0, 0, 0, 8, 8, 1, NO_CLEAR),
            (2, 1, 1, 4, 4, 2, NO_CLEAR),
            (1, 6, 6, 2, 2, 1, NO_CLEAR),
        ]
    )
    ground = (RED, 0, 0, 8, 8)
    expected = [
        painted(ground),
        painted(ground, (BLUE, 1, 1, 4, 4)),
        painted(ground, (NOTHING, 1, 1, 4, 4), (GREEN, 6, 6, 2, 2)),
    ]
    for found, wanted in zip(seen(tmp_path / "a.gif", data), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_gif_areas_are_restored(tmp_path: Path) -> None:
    data = gif(
        [
            (0, 0, 0, 8, 8, 0, NO_CLEAR),
            (2, 1, 1, 4, 4, 3, NO_CLEAR),
            (1, 6, 6, 2, 2, 3, NO_CLEAR),
            (2, 0, 0, 1, 1, 0, NO_CLEAR),
        ]
    )
    ground = (RED, 0, 0, 8, 8)
    found = seen(tmp_path / "a.gif", data)
    np.testing.assert_array_equal(found[2], painted(ground, (GREEN, 6, 6, 2, 2)))
    np.testing.assert_array_equal(found[3], painted(ground, (BLUE, 0, 0, 1, 1)))


def test_gif_shows_through_where_nothing_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    # The first frame leaves a margin, and the second draws with the transparent colour.
    data = gif([(0, 2, 2, 4, 4, 1, NO_CLEAR), (1, 0, 0, 8, 8, 1, 1)])
    expected = painted((RED, 2, 2, 4, 4))
    for found in seen(path, data):
        np.testing.assert_array_equal(found, expected)
    # So does a single frame.
    (found,) = seen(path, gif([(0, 2, 2, 4, 4, 0, NO_CLEAR)]))
    np.testing.assert_array_equal(found, expected)


def test_gif_frames_outside_of_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    first, second = seen(path, gif([(0, 0, 0, 8, 8, 1, None), (2, 6, 6, 9, 9, 1, None)]))
    assert first.shape == second.shape == (8, 8, 4)
    np.testing.assert_array_equal(second, painted((RED, 0, 0, 8, 8), (BLUE, 6, 6, 2, 2)))
    # Some programs leave out the screen size.
    (found,) = seen(path, gif([(0, 0, 0, 8, 8, 1, None)], screen=(0, 0)))
    np.testing.assert_array_equal(found, painted((RED, 0, 0, 8, 8)))


def test_gif_cut_off(tmp_path: Path) -> None:
    data = gif([(0, 0, 0, 8, 8, 1, None), (2, 0, 0, 8, 8, 1, None)])
    path = tmp_path / "a.gif"
    # A missing end does no harm; missing samples do.
    assert len(seen(path, data[:-1])) == 2
    path.write_bytes(data[:-5])
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=r"^a\.gif: is damaged"):
            read(path)
