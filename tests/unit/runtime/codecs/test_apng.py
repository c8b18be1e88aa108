"""APNG frames as browsers compose them, following the format's specification."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.codecs.decode import decode
from runtime.errors import ImageReadError
from tests.support.composed_frames import BLUE, GREEN, NOTHING, RED, block, painted, seen

SOURCE, OVER = 0, 1
KEEP, CLEAR, RESTORE = 0, 1, 2


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


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
    # Over itself: alpha of one half twice, and the same colour.
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
