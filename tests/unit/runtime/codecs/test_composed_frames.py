"""APNG and GIF frames as browsers put them together, by what the formats' specifications say."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.errors import ImageReadError
from runtime.image.picture import Picture

RED, GREEN, BLUE = (200, 0, 0, 255), (0, 200, 0, 255), (0, 0, 200, 255)
NOTHING = (0, 0, 0, 0)
SOURCE, OVER = 0, 1
KEEP, CLEAR, RESTORE = 0, 1, 2


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def block(colour: Sequence[int], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((*size_hw, len(colour)), colour, np.uint8)


def apng(
    frames: Sequence[tuple[NDArray[np.uint8], int, int, int, int]],
    *,
    still: NDArray[np.uint8] | None = None,
    extra: bytes = b"",
) -> bytes:
    """Frames of samples, left, top, disposal and blend; the first one's size is the canvas's."""

    def packed(samples: NDArray[np.uint8]) -> bytes:
        return zlib.compress(b"".join(b"\0" + row.tobytes() for row in samples))

    height, width, channels = frames[0][0].shape
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
    out += chunk(b"acTL", struct.pack(">II", len(frames), 0))
    if still is not None:
        out += chunk(b"IDAT", packed(still))
    number = 0
    for index, (samples, left, top, disposal, blend) in enumerate(frames):
        rows, columns = samples.shape[:2]
        control = (number, columns, rows, left, top, 1, 20, disposal, blend)
        out += chunk(b"fcTL", struct.pack(">5I2H2B", *control))
        number += 1
        if index == 0 and still is None:
            out += chunk(b"IDAT", packed(samples))
        else:
            out += chunk(b"fdAT", struct.pack(">I", number) + packed(samples))
            number += 1
    return out + chunk(b"IEND", b"")


def seen(path: Path, data: bytes) -> list[NDArray[np.uint8]]:
    """What the frames show, as RGBA."""
    path.write_bytes(data)
    picture, outline = decode(path), read_outline(path)
    pages = (picture, *picture.more)
    assert outline.frames == len(pages)
    assert outline.size_hw == picture.size_hw == picture.source_size_hw
    assert all(outline.has_alpha == (page.alpha_hw is not None) for page in pages)
    return [rgba(page) for page in pages]


def rgba(page: Picture) -> NDArray[Any]:
    alpha = page.alpha_hw
    alpha = np.full(page.size_hw, 255, np.uint8) if alpha is None else alpha
    colour = np.where(alpha[..., None] > 0, page.rgb_hwc, 0)
    return np.dstack((colour, alpha))


def painted(*areas: tuple[Sequence[int], int, int, int, int]) -> NDArray[np.uint8]:
    """An 8 x 8 canvas with areas of colour, left, top, width and height, later ones on top."""
    canvas = np.zeros((8, 8, 4), np.uint8)
    for colour, left, top, width, height in areas:
        canvas[top : top + height, left : left + width] = colour
    return canvas


@pytest.mark.parametrize("blend", [SOURCE, OVER])
def test_apng_areas_are_restored(tmp_path: Path, blend: int) -> None:
    small = block(BLUE, (3, 3))
    data = apng(
        [
            (block(RED, (8, 8)), 0, 0, KEEP, SOURCE),
            (small, 1, 1, RESTORE, blend),
            (small, 4, 4, RESTORE, blend),
            (small, 0, 5, KEEP, blend),
        ]
    )
    ground = (RED, 0, 0, 8, 8)
    expected = [
        painted(ground),
        painted(ground, (BLUE, 1, 1, 3, 3)),
        painted(ground, (BLUE, 4, 4, 3, 3)),
        painted(ground, (BLUE, 0, 5, 3, 3)),
    ]
    for found, wanted in zip(seen(tmp_path / "a.png", data), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_apng_half_transparent_over_and_source(tmp_path: Path) -> None:
    half = (0, 0, 200, 128)
    data = apng(
        [
            (block(RED, (8, 8)), 0, 0, KEEP, SOURCE),
            (block(half, (2, 2)), 0, 0, KEEP, OVER),
            (block(half, (2, 2)), 4, 0, KEEP, SOURCE),
            (block(half, (2, 2)), 4, 0, CLEAR, OVER),
            (block(GREEN, (1, 1)), 7, 7, KEEP, OVER),
        ]
    )
    frames = seen(tmp_path / "a.png", data)
    share = 128 / 255
    mixed = [round(200 * (1 - share)), 0, round(200 * share), 255]
    assert frames[1][0, 0].tolist() == mixed
    assert frames[2][0, 4].tolist() == [0, 0, 200, 128]
    assert frames[2][0, 0].tolist() == mixed
    # Over its like: twice half, and the same colour.
    assert frames[3][0, 4].tolist() == [0, 0, 200, round(255 * (1 - (1 - share) ** 2))]
    assert frames[4][0, 4].tolist() == [0, 0, 0, 0]
    assert frames[4][7, 7].tolist() == list(GREEN)


def test_apng_first_frame_restored_means_cleared(tmp_path: Path) -> None:
    data = apng(
        [
            (block(RED, (8, 8)), 0, 0, RESTORE, SOURCE),
            (block(GREEN, (2, 2)), 1, 1, KEEP, OVER),
        ]
    )
    frames = seen(tmp_path / "a.png", data)
    np.testing.assert_array_equal(frames[1], painted((GREEN, 1, 1, 2, 2)))


def test_apng_without_alpha_gets_it_where_an_area_is_cleared(tmp_path: Path) -> None:
    rgb = [block(colour[:3], size) for colour, size in ((RED, (8, 8)), (BLUE, (2, 2)))]
    frames = [(rgb[0], 0, 0, KEEP, SOURCE), (rgb[1], 1, 1, CLEAR, SOURCE)]
    data = apng([*frames, (rgb[1], 5, 5, KEEP, SOURCE)])
    ground = (RED, 0, 0, 8, 8)
    found = seen(tmp_path / "a.png", data)
    expected = painted(ground, (NOTHING, 1, 1, 2, 2), (BLUE, 5, 5, 2, 2))
    np.testing.assert_array_equal(found[2], expected)


def test_apng_keeps_its_still_picture_and_metadata_apart(tmp_path: Path) -> None:
    still = block(GREEN, (8, 8))
    resolution = chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
    frames = [(block(RED, (8, 8)), 0, 0, KEEP, SOURCE), (block(BLUE, (8, 8)), 0, 0, KEEP, SOURCE)]
    path = tmp_path / "a.png"
    found = seen(path, apng(frames, still=still, extra=resolution))
    assert [frame[0, 0].tolist() for frame in found] == [list(RED), list(BLUE)]
    picture = decode(path)
    assert picture.dpi == pytest.approx((300, 300), abs=0.01)
    assert picture.duration_ms == 50
    assert picture.notes == ["the still picture for viewers without animation was dropped"]


@pytest.mark.parametrize("damage", ["outside", "missing", "short"])
def test_damaged_apng(tmp_path: Path, damage: str) -> None:
    small = block(BLUE, (3, 3))
    left = 7 if damage == "outside" else 1
    frames = [(block(RED, (8, 8)), 0, 0, KEEP, SOURCE), (small, left, 1, KEEP, OVER)]
    data = apng(frames)
    if damage == "missing":
        count = chunk(b"acTL", struct.pack(">II", 2, 0))
        data = data.replace(count, chunk(b"acTL", struct.pack(">II", 3, 0)))
    elif damage == "short":
        at = data.index(b"fdAT") - 4
        (length,) = struct.unpack_from(">I", data, at)
        content = data[at + 8 : at + 8 + 4] + zlib.compress(b"\0")
        data = data[:at] + chunk(b"fdAT", content) + data[at + 12 + length :]
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageReadError, match=r"^a\.png: is damaged"):
        decode(tmp_path / "a.png")


# --- GIF -----------------------------------------------------------------------------------

PALETTE = bytes((*RED[:3], *GREEN[:3], *BLUE[:3], 9, 9, 9))


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


NO_CLEAR = None


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
    # Some programs state no screen.
    (found,) = seen(path, gif([(0, 0, 0, 8, 8, 1, None)], screen=(0, 0)))
    np.testing.assert_array_equal(found, painted((RED, 0, 0, 8, 8)))


def test_gif_cut_off(tmp_path: Path) -> None:
    data = gif([(0, 0, 0, 8, 8, 1, None), (2, 0, 0, 8, 8, 1, None)])
    path = tmp_path / "a.gif"
    # Without its end it is whole; without samples it is not.
    assert len(seen(path, data[:-1])) == 2
    path.write_bytes(data[:-5])
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=r"^a\.gif: is damaged"):
            read(path)
