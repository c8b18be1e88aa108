"""TIFF pages: which are pictures, and their tags."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageCms

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.errors import ImageReadError
from tests.support.tiff_files import (
    FULL,
    SMALL,
    Order,
    Tags,
    seen,
    tiff,
    with_the_second_inside,
    written,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB.replace(b"RGB ", b"GRAY", 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [{254: (1,)}, {255: (2,)}, {254: (5,)}])
@pytest.mark.parametrize("first", [False, True])
def test_the_picture_is_taken_and_not_its_reduced_copies(
    tmp_path: Path, order: Order, kind: Tags, first: bool
) -> None:
    reduced = [(SMALL, dict(kind)), (SMALL[:3, :3], dict(kind))]
    pages = [*reduced, (FULL, {})] if first else [(FULL, {}), *reduced]
    picture = seen(written(tmp_path / "a.tif", tiff(*pages, order=order)))
    np.testing.assert_array_equal(picture.rgb_hwc, FULL)
    assert picture.notes == ["dropped: reduced copies of pages (2)"]


@pytest.mark.parametrize("reduced", [{}, {254: (1,)}])
def test_a_picture_behind_its_reduced_copy_is_taken(tmp_path: Path, reduced: Tags) -> None:
    """Recognized by its tag, or because it is smaller."""
    data = tiff((SMALL, {330: (1,), **reduced}), (FULL, {282: (1,), 283: (1,)}))
    picture = seen(written(tmp_path / "a.tif", with_the_second_inside(data)))
    np.testing.assert_array_equal(picture.rgb_hwc, FULL)
    assert picture.notes == ["dropped: reduced copies of pages (1)"]


def test_a_sensors_samples_behind_a_preview_are_named(tmp_path: Path) -> None:
    data = tiff((SMALL, {330: (1,), 254: (1,)}), (FULL[..., :1], {262: (32803,)}))
    path = written(tmp_path / "a.tif", with_the_second_inside(data))
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=r"raw sensor data.* raw converter"):
            read(path)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "only a reduced copy or a mask"),
        ({50706: b"\1\4\0\0"}, "camera raw file, of which only the preview"),
        ({330: (8,)}, "camera raw file, of which only the preview"),
    ],
)
def test_a_preview_alone_is_refused(tmp_path: Path, tags: Tags, words: str) -> None:
    path = written(tmp_path / "a.tif", tiff((SMALL, {254: (1,), **tags})))
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match=rf"^a\.tif: .*{words}"):
            read(path)


def test_what_one_page_states_does_not_hold_for_others(tmp_path: Path) -> None:
    inch = {282: (300,), 283: (300,), 296: (2,)}
    stated = {**inch, 34675: SRGB, 700: b"<x:xmpmeta><rdf:RDF></rdf:RDF></x:xmpmeta>"}
    # Without a unit, and so no resolution.
    unitless = {282: (1,), 283: (1,), 296: (1,)}
    grey = FULL[..., :1]
    data = tiff((FULL, {}), (FULL, stated), (FULL, unitless), (grey, {34675: GREY}), (grey, {}))
    picture = decode(written(tmp_path / "a.tif", data))
    pages = (picture, *picture.more)
    assert [page.icc_profile for page in pages] == [None, SRGB, None, GREY, None]
    assert [page.dpi for page in pages] == [None, (300.0, 300.0), None, None, None]
    assert [page.xmp is None for page in pages] == [True, False, True, True, True]
    assert [page.is_grey for page in pages] == [False, False, False, True, True]


def test_a_mask_page_becomes_alpha(tmp_path: Path) -> None:
    mask = np.zeros((20, 24), bool)
    mask[5:, 3:9] = True
    bits = np.packbits(mask, axis=1)[..., None]
    tags = {254: (4,), 262: (4,), 256: (24,), 258: (1,), 277: (1,)}
    path = written(tmp_path / "a.tif", tiff((FULL, {}), (bits, dict(tags))))
    picture = seen(path)
    np.testing.assert_array_equal(picture.rgb_hwc, FULL)
    np.testing.assert_array_equal(picture.alpha_hw, mask * np.uint8(255))
    assert picture.notes == []

    written(path, tiff((SMALL, {}), (bits, dict(tags))))
    assert seen(path).notes == ["dropped: transparency masks that match no page (1)"]


def test_pictures_inside_of_pages_are_told_of(tmp_path: Path) -> None:
    data = tiff((FULL, {}), (SMALL, {}))
    inner = struct.unpack_from("<I", data, 4)[0]
    # The first page points to itself: no reduced copy.
    path = written(tmp_path / "a.tif", tiff((FULL, {330: (inner,)})))
    assert decode(path).notes == ["dropped: further pictures inside pages (in sub-directories)"]


def test_stacks_that_only_imagej_finds_are_refused(tmp_path: Path) -> None:
    one = b"ImageJ=1.54f\nimages=1\n\0"
    path = written(tmp_path / "a.tif", tiff((FULL, {270: one})))
    np.testing.assert_array_equal(decode(path).rgb_hwc, FULL)
    written(path, tiff((FULL, {270: one.replace(b"=1\n", b"=3\n")})))
    for read in (decode, read_outline):
        with pytest.raises(ImageReadError, match="stack of 3 images that only ImageJ finds"):
            read(path)
