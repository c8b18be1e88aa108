from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from runtime.codecs.animation import LONGEST_MS, save_animation
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.output import OutputSettings
from runtime.image.picture import Picture

COLOURS = [(200, 30, 40), (20, 180, 60), (30, 60, 220)]


def frame(colour: tuple[int, int, int], ms: float, *, has_alpha: bool = False) -> Picture:
    rgb = np.full((12, 16, 3), colour, np.uint8)
    alpha = np.full((12, 16), 255, np.uint8)
    alpha[:, :8] = 0
    return Picture(rgb_hwc=rgb, alpha_hw=alpha if has_alpha else None, duration_ms=ms, plays=0)


def saved(frames: list[Picture], name: str) -> tuple[Image.Image, list[str]]:
    file = io.BytesIO()
    notes = save_animation(frames, name, file, {"lossless": True} if name == "WEBP" else {})
    return Image.open(file), notes


def durations(image: Image.Image) -> list[float]:
    found = []
    for one in ImageSequence.Iterator(image):
        one.load()
        found.append(one.info.get("duration", 0.0))
    return found


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP"])
def test_frames_and_times_come_back(name: str) -> None:
    image, notes = saved([frame(one, 40.0 * n) for n, one in enumerate(COLOURS, 1)], name)
    assert not notes
    assert durations(image) == [40, 80, 120]
    for number, colour in enumerate(COLOURS):
        image.seek(number)
        shown = np.asarray(image.convert("RGB"), int)[6, 8]
        assert np.abs(shown - colour).max() <= 3


def test_times_do_not_drift() -> None:
    # At 30 frames per second each lasts 33.3 ms; GIF counts hundredths of a second.
    frames = [frame((number, 0, 0), 1000 / 30) for number in range(0, 240, 8)]
    image, _ = saved(frames, "GIF")
    assert sum(durations(image)) == 1000
    assert set(durations(image)) == {30, 40}


@pytest.mark.parametrize(("plays", "loop"), [(0, 0), (1, None), (3, 2)])
def test_gif_counts_repetitions(plays: int, loop: int | None) -> None:
    frames = [replace(frame(one, 40), plays=plays) for one in COLOURS]
    assert saved(frames, "GIF")[0].info.get("loop") == loop
    assert saved(frames, "PNG")[0].info["loop"] == plays


@pytest.mark.skipif(not HAS_AVIF, reason="Pillow has none")
def test_avif_repeats_for_ever() -> None:
    frames = [replace(frame(one, 40), plays=3) for one in COLOURS]
    assert saved(frames, "AVIF")[1] == [
        "the animation repeats for ever: AVIF is written without a count of plays"
    ]
    assert saved([replace(one, plays=0) for one in frames], "AVIF")[1] == []


def test_equal_frames_are_joined_before_a_time_overflows() -> None:
    half = LONGEST_MS["PNG"] // 2
    image, notes = saved([frame(COLOURS[0], half), frame(COLOURS[1], half - 9)], "PNG")
    assert not notes
    assert durations(image) == pytest.approx([half, half - 9])
    image, notes = saved([frame(COLOURS[0], half)] * 3 + [frame(COLOURS[1], 50)], "PNG")
    assert durations(image) == pytest.approx([LONGEST_MS["PNG"], 50])
    assert notes == ["frames are shown for 65.535 s at most: PNG holds no more"]


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP"])
def test_a_frame_with_alpha_does_not_show_the_one_before(tmp_path: Path, name: str) -> None:
    frames = [frame(COLOURS[0], 40), frame(COLOURS[1], 40, has_alpha=True)]
    path = tmp_path / f"a.{name.lower()}"
    with path.open("wb") as file:
        save_animation(frames, name, file, {"lossless": True} if name == "WEBP" else {})
    first = decode(path)
    (second,) = first.more
    assert first.alpha_hw is None or first.alpha_hw.min() == 255
    assert second.alpha_hw is not None
    assert (second.alpha_hw[0, 0], second.alpha_hw[0, 15]) == (0, 255)


def test_a_gif_of_one_picture_has_up_to_256_colours() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    image, _ = saved([Picture(rgb_hwc=rgb)], "GIF")
    assert image.mode == "P"
    assert len(image.convert("RGB").getcolors(2000) or []) > 200
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grey = Picture(rgb_hwc=np.repeat(ramp[..., None], 3, axis=2), is_grey=True)
    image, _ = saved([grey], "GIF")
    assert np.array_equal(np.asarray(image.convert("L")), ramp), "grey needs no reduction"


@pytest.mark.parametrize(("alpha", "noted"), [(255, False), (0, False), (100, True)])
def test_gif_says_that_it_has_no_partial_alpha(tmp_path: Path, alpha: int, noted: bool) -> None:
    picture = frame(COLOURS[0], 40, has_alpha=True)
    picture.alpha_hw = np.full(picture.size_hw, alpha, np.uint8)
    notes = encode(picture, tmp_path / "a.gif", OutputSettings())
    note = "alpha was reduced to on and off, the limit of GIF; webp and png keep it"
    assert (note in notes) == noted
