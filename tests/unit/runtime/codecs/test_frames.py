"""Animations and pages: which are read, which left out, and their times."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from runtime.codecs import decode as decode_module
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.output import OutputSettings
from runtime.errors import ImageReadError
from runtime.image.picture import Picture

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
TIMES = [50, 120, 200]


def animation(path: Path, **options: Any) -> Path:
    frames = [Image.new("RGB", (8, 6), colour) for colour in COLOURS]
    lossless: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=TIMES, **lossless, **options
    )
    return path


def times(picture: Picture) -> list[float | None]:
    return [page.duration_ms for page in (picture, *picture.more)]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_times_and_colours(tmp_path: Path, name: str) -> None:
    picture = decode(animation(tmp_path / name, loop=0))
    assert times(picture) == TIMES
    assert picture.plays == 0
    for page, colour in zip((picture, *picture.more), COLOURS, strict=True):
        assert page.rgb_hwc[0, 0].tolist() == list(colour)


@pytest.mark.parametrize("plays", [0, 1, 2, 5])
@pytest.mark.parametrize("source", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("target", [".gif", ".png", ".webp"])
def test_how_often_it_plays_survives(tmp_path: Path, source: str, target: str, plays: int) -> None:
    frames = [
        Picture(rgb_hwc=np.full((6, 8, 3), 80 * number, np.uint8), duration_ms=50.0, plays=plays)
        for number in range(3)
    ]
    encode(replace(frames[0], more=tuple(frames[1:])), tmp_path / f"a{source}", OutputSettings())
    first = decode(tmp_path / f"a{source}")
    assert first.plays == plays
    encode(first, tmp_path / f"b{target}", OutputSettings())
    second = decode(tmp_path / f"b{target}")
    assert second.plays == plays
    assert times(second) == [50, 50, 50]


@pytest.mark.parametrize("target", [".gif", ".png", ".webp", *([".avif"] if HAS_AVIF else [])])
def test_alpha_of_every_frame_replaces_the_last(tmp_path: Path, target: str) -> None:
    """A pixel that turns transparent does not show the frame before."""
    frames = []
    for number in range(3):
        alpha = np.zeros((16, 24), np.uint8)
        alpha[4:12, 8 * number : 8 * number + 8] = 255
        rgb = np.full((16, 24, 3), 60 * number + 60, np.uint8)
        frames.append(Picture(rgb_hwc=rgb, alpha_hw=alpha, duration_ms=100.0, plays=0))
    encode(
        replace(frames[0], more=tuple(frames[1:])),
        tmp_path / f"a{target}",
        OutputSettings(quality=100),
    )
    again = decode(tmp_path / f"a{target}")
    for one, other in zip((again, *again.more), frames, strict=True):
        assert one.alpha_hw is not None
        assert other.alpha_hw is not None
        assert np.abs(one.alpha_hw.astype(int) - other.alpha_hw).max() <= 3
        shown = other.alpha_hw == 255
        assert np.abs(one.rgb_hwc[shown].astype(int) - other.rgb_hwc[shown]).max() <= 4


def test_times_of_a_gif_do_not_drift(tmp_path: Path) -> None:
    frames = [
        Picture(rgb_hwc=np.full((4, 4, 3), number, np.uint8), duration_ms=1000 / 30, plays=0)
        for number in range(60)
    ]
    encode(replace(frames[0], more=tuple(frames[1:])), tmp_path / "a.gif", OutputSettings())
    total = sum(time or 0 for time in times(decode(tmp_path / "a.gif")))
    assert total == pytest.approx(2000, abs=5)


def test_still_picture_of_an_apng_is_left_out(tmp_path: Path) -> None:
    picture = decode(animation(tmp_path / "a.png", default_image=True, loop=0))
    assert len(picture.more) == 1
    assert picture.rgb_hwc[0, 0].tolist() == [0, 255, 0]
    assert "still picture" in picture.notes[0]


@pytest.mark.parametrize(
    ("suffix", "note"),
    [(".jpg", "only the first of 3 frames"), (".tiff", "durations were dropped"), (".webp", "")],
)
def test_what_a_format_cannot_hold_is_said(tmp_path: Path, suffix: str, note: str) -> None:
    picture = decode(animation(tmp_path / "a.gif"))
    notes = encode(picture, tmp_path / f"b{suffix}", OutputSettings())
    assert [text for text in notes if note and note in text] or not note
    pages = len(decode(tmp_path / f"b{suffix}").more) + 1
    assert pages == (1 if suffix == ".jpg" else 3)


def tiff_pages(path: Path, *, reduced: bool = False) -> Path:
    """Two pages, the second perhaps marked as a reduced copy of the first."""
    colour, grey = np.zeros((6, 8, 3), np.uint8), np.full((3, 4, 3), 90, np.uint8)
    pages = Picture(rgb_hwc=colour, more=(Picture(rgb_hwc=grey, is_grey=True),))
    encode(pages, path, OutputSettings())
    if reduced:
        page, copy = (struct.pack("<HHII", 254, 4, 1, kind) for kind in (2, 1))
        before, between, after = path.read_bytes().split(page)
        path.write_bytes(before + page + between + copy + after)
    return path


def test_pages_keep_their_sizes_and_kinds(tmp_path: Path) -> None:
    picture = decode(tiff_pages(tmp_path / "a.tif"))
    assert [page.size_hw for page in (picture, *picture.more)] == [(6, 8), (3, 4)]
    assert [page.is_grey for page in (picture, *picture.more)] == [False, True]
    assert picture.plays is None
    notes = encode(picture, tmp_path / "b.png", OutputSettings())
    assert notes == ["only the first of 2 pages was written: PNG stores one, tiff all"]


def test_reduced_copies_are_no_pages(tmp_path: Path) -> None:
    picture = decode(tiff_pages(tmp_path / "a.tif", reduced=True))
    assert not picture.more
    assert picture.notes == ["dropped: reduced copies of pages (1)"]


def test_too_many_frames_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = animation(tmp_path / "a.gif")
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 100)
    with pytest.raises(ImageReadError, match="has 3 frames or pages; at most 100"):
        decode(path)


def test_a_torn_animation_is_damaged(tmp_path: Path) -> None:
    data = animation(tmp_path / "a.webp").read_bytes()
    (tmp_path / "b.webp").write_bytes(data[: len(data) - 20])
    with pytest.raises(ImageReadError):
        decode(tmp_path / "b.webp")
    buffer = io.BytesIO(data)
    assert Image.open(buffer).n_frames == 3  # type: ignore[attr-defined]


def film(*times_ms: float, alike: bool = False) -> Picture:
    frames = [
        Picture(
            rgb_hwc=np.full((4, 6, 3), 0 if alike else 40 * number, np.uint8),
            duration_ms=duration,
            plays=0,
        )
        for number, duration in enumerate(times_ms)
    ]
    return replace(frames[0], more=tuple(frames[1:]))


@pytest.mark.parametrize(
    ("suffix", "longest"), [(".gif", 655_350), (".png", 65_535), (".webp", 2**24 - 1)]
)
def test_a_frame_is_shown_for_as_long_as_the_format_can(
    tmp_path: Path, suffix: str, longest: int
) -> None:
    path = tmp_path / f"a{suffix}"
    notes = encode(film(200, longest, 100), path, OutputSettings(quality=100))
    assert not any("are shown for" in note for note in notes)
    assert durations(path) == [200, longest, 100]
    notes = encode(film(200, 10 * longest, 100), path, OutputSettings(quality=100))
    assert any(f"are shown for {longest / 1000:g} s at most" in note for note in notes)
    assert durations(path) == [200, longest, 100]


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_frames_that_look_alike_may_last_too_long_together(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    notes = encode(film(*[600_000] * 3, alike=True), path, OutputSettings())
    assert any("at most" in note for note in notes)
    with Image.open(path) as image:
        assert image.size == (6, 4)


def durations(path: Path) -> list[float]:
    with Image.open(path) as image:
        found = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            found.append(frame.info["duration"])
    return found
