"""Results made in strips equal those of the whole picture, bit for bit."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.output import FormatName, OutputSettings, fit
from runtime.image.picture import Picture
from runtime.image.resize import ALPHA_CONTEXT_PX, enlarge_alpha, fit_strips
from runtime.image.strip_source import PictureReader, StripReader
from runtime.image.strips import header_of, interleaved, regrouped, rows_of, stacked
from runtime.image.transparency import fill_transparent, without_steps
from runtime.run.in_strips import write_in_strips
from runtime.run.second_pass import EnlargedReader
from runtime.tiles.stitch import OnTile, upscale_in_tiles
from runtime.tiles.strips import strip_bytes, upscale_in_strips
from tests.property.runtime.tiles.test_plan import LocalMean

SCALE = 2
sides = st.integers(1, 90)
heights_of_strips = st.integers(1, 40)


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Noise in pictures of any kind."""
    height, width = draw(sides), draw(sides)
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    depth = draw(st.sampled_from(["uint8", "uint16"]))
    full = 255 if depth == "uint8" else 65535
    is_grey = draw(st.booleans())
    rgb = generator.integers(0, full + 1, (height, width, 3), depth)
    if is_grey:
        rgb[:] = rgb[..., :1]
    alpha = None
    if draw(st.booleans()):
        # With holes and solid parts, as pictures have.
        alpha = generator.integers(-full, 2 * full, (height, width)).clip(0, full).astype(depth)
        if draw(st.booleans()):
            alpha[alpha > 0] = full
    return Picture(rgb_hwc=rgb, alpha_hw=alpha, is_grey=is_grey)


class Upscaler:
    """A local filter with tiles of 24 pixels."""

    def __init__(self, *, uniform: bool = False) -> None:
        self.backend = LocalMean(radius=3, uniform_tiles=uniform)

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        return upscale_in_strips(reader, self.backend, tile_size=24, overlap=4, on_tile=on_tile)

    def strip_bytes(self, header: Picture) -> int:
        return strip_bytes(header, self.backend, tile_size=24, overlap=4)

    def whole(self, picture: Picture) -> Picture:
        rgb_hwc, alpha_hw = picture.rgb_hwc, picture.alpha_hw
        if alpha_hw is not None:
            rgb_hwc = fill_transparent(rgb_hwc, alpha_hw)
            alpha_hw = enlarge_alpha(without_steps(alpha_hw), SCALE)
        rgb_hwc = upscale_in_tiles(rgb_hwc, self.backend, tile_size=24, overlap=4)
        return replace(picture, rgb_hwc=rgb_hwc, alpha_hw=alpha_hw)


def cut(picture: Picture, heights: Iterable[int]) -> Iterator[Picture]:
    top = 0
    for height in heights:
        if top < picture.size_hw[0]:
            yield rows_of(picture, top, top + height)
        top += height
    if top < picture.size_hw[0]:
        yield rows_of(picture, top, picture.size_hw[0])


def together(strips: Iterable[Picture]) -> Picture:
    first, *others = strips
    for other in others:
        first = stacked(first, other)
    return first


def assert_same(found: Picture, expected: Picture) -> None:
    np.testing.assert_array_equal(interleaved(found), interleaved(expected))


def assert_close(found: Picture, expected: Picture, levels: int) -> None:
    """Pillow counts rows from the top of a strip, which occasionally changes rounding."""
    difference = np.abs(interleaved(found).astype(float) - interleaved(expected))
    if expected.alpha_hw is not None:
        # Colours are compared as far as they are visible.
        seen = expected.alpha_hw / np.iinfo(expected.alpha_hw.dtype).max
        difference[..., :-1] *= seen[..., None]
    assert difference.max() <= levels


@given(picture=pictures(), heights=st.lists(heights_of_strips), rows=heights_of_strips)
def test_regrouped_strips_are_the_same_rows(
    picture: Picture, heights: list[int], rows: int
) -> None:
    groups = list(regrouped(cut(picture, heights), rows))
    assert_same(together(groups), picture)
    assert {group.size_hw[0] for group in groups[:-1]} <= {rows}
    assert 1 <= groups[-1].size_hw[0] <= rows


@given(picture=pictures(), uniform=st.booleans())
def test_tile_rows_give_the_whole_picture(picture: Picture, uniform: bool) -> None:
    upscaler = Upscaler(uniform=uniform)
    shares: list[float] = []
    strips = list(upscaler.strips(PictureReader(picture), on_tile=shares.append))
    assert_same(together(strips), upscaler.whole(picture))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    largest = max(strip.nbytes for strip in strips)
    assert largest <= upscaler.strip_bytes(header_of(picture))


@settings(max_examples=20)
@given(picture=pictures(), uniform=st.booleans())
def test_a_second_pass_in_strips_gives_what_a_whole_one_does(
    picture: Picture, uniform: bool
) -> None:
    picture = replace(picture, alpha_hw=None)  # a whole pass fills transparent pixels again
    upscaler = Upscaler(uniform=uniform)
    reader = EnlargedReader(upscaler, PictureReader(picture), SCALE)
    found = together(upscaler.strips(reader))
    assert_same(found, upscaler.whole(upscaler.whole(picture)))


def test_a_strip_too_few_would_be_noticed() -> None:
    picture = Picture(rgb_hwc=np.random.default_rng(0).integers(0, 256, (60, 9, 3), np.uint8))
    upscaler = Upscaler()
    strips = list(upscaler.strips(PictureReader(picture)))
    assert len(strips) > 2
    with pytest.raises(AssertionError):
        assert_same(together([*strips[:-2], strips[-1]]), upscaler.whole(picture))


@given(
    picture=pictures(),
    heights=st.lists(heights_of_strips),
    target=st.sampled_from(
        [{"scale": 2}, {"scale": 3.7}, {"scale": 1.5}, {"max_size_px": 50}, {"max_size_px": 1}]
    ),
)
def test_reduced_strips_are_the_reduced_picture(
    picture: Picture, heights: list[int], target: dict[str, Any]
) -> None:
    height, width = (-(-side // 4) for side in picture.size_hw)
    size_hw = (4 * height, 4 * width)
    padding = ((0, size_hw[0] - picture.size_hw[0]), (0, size_hw[1] - picture.size_hw[1]))
    alpha = picture.alpha_hw
    picture = replace(
        picture,
        rgb_hwc=np.pad(picture.rgb_hwc, (*padding, (0, 0)), mode="edge"),
        alpha_hw=None if alpha is None else np.pad(alpha, padding, mode="edge"),
    )
    settings = OutputSettings(**target)
    expected = fit(picture, (height, width), settings, 4)
    found = together(fit_strips(cut(picture, heights), size_hw, expected.size_hw))
    assert_close(found, expected, 1)


@given(alpha=st.integers(0, 99), height=sides, start=st.integers(0, 89), rows=heights_of_strips)
def test_rows_of_alpha_are_those_of_the_whole(
    alpha: int, height: int, start: int, rows: int
) -> None:
    plane = np.random.default_rng(alpha).integers(0, 256, (height, 13), np.uint8)
    start = min(start, height - 1)
    stop = min(start + rows, height)
    first = max(0, start - ALPHA_CONTEXT_PX)
    part = plane[first : stop + ALPHA_CONTEXT_PX]
    found = enlarge_alpha(part, 4, rows=(start - first, stop - first))
    np.testing.assert_array_equal(found, enlarge_alpha(plane, 4)[4 * start : 4 * stop])


@settings(deadline=None)
@given(picture=pictures(), form=st.sampled_from(["png", "tiff", "jpg"]), small=st.booleans())
def test_a_file_made_in_strips_holds_what_one_made_whole_does(
    picture: Picture, form: FormatName, small: bool
) -> None:
    picture = replace(picture, dpi=(300.0, 150.0), text={"Comment": "kept"}, source_format="PNG")
    chosen = OutputSettings(format=form, max_size_px=60 if small else None)
    upscaler = Upscaler()
    with tempfile.TemporaryDirectory() as folder:
        whole, strips = Path(folder, f"whole.{form}"), Path(folder, f"strips.{form}")
        result = fit(upscaler.whole(picture), picture.size_hw, chosen, SCALE)
        notes = encode(result, whole, chosen)
        found_notes = write_in_strips(
            upscaler,
            PictureReader(picture),
            strips,
            chosen,
            scale=SCALE,
            target_hw=result.size_hw,
            stop=threading.Event(),
        )
        assert found_notes[1:] == notes
        expected, found = decode(whole), decode(strips)
    if small:
        assert_close(found, expected, 8 if form == "jpg" else 1)
    else:
        assert_same(found, expected)
    for name in ("is_grey", "icc_profile", "exif", "dpi", "xmp", "text", "notes"):
        values: list[Any] = [getattr(one, name) for one in (found, expected)]
        assert values[0] == values[1], name
