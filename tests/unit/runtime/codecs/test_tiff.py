"""Writing TIFF; reading by other programs is in test_fidelity.py."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL.TiffImagePlugin import TiffImageFile

from runtime.codecs import tiff as tiff_module
from runtime.codecs.decode import decode
from runtime.codecs.tiff import write_tiff, write_tiff_strips
from runtime.image.picture import Picture, is_deep
from runtime.image.strips import header_of, regrouped
from tests.support.images import SRGB, picture_of

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
)
KINDS = ("grey", "rgb", "rgba", "grey-16", "rgb-16", "rgba-16")


def saved(path: Path, *pages: Picture) -> Path:
    with path.open("wb") as file:
        write_tiff(pages, file)
    return path


def assert_same(found: Picture, expected: Picture) -> None:
    assert np.array_equal(found.rgb_hwc, expected.rgb_hwc)
    assert found.rgb_hwc.dtype == expected.rgb_hwc.dtype
    assert found.is_grey == expected.is_grey
    assert (found.alpha_hw is None) == (expected.alpha_hw is None)
    if expected.alpha_hw is not None and found.alpha_hw is not None:
        assert np.array_equal(found.alpha_hw, expected.alpha_hw)


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_big: bool
) -> None:
    if is_big:
        monkeypatch.setattr(tiff_module, "BIG_BYTES", 0)
    path = saved(tmp_path / "a.tiff", picture_of(kind))
    assert path.read_bytes()[2] == (43 if is_big else 42)
    assert_same(decode(path), picture_of(kind))


@pytest.mark.parametrize("strip_bytes", [1, 500, 1 << 20])
def test_strips_of_any_height(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strip_bytes: int
) -> None:
    monkeypatch.setattr(tiff_module, "STRIP_BYTES", strip_bytes)
    path = saved(tmp_path / "a.tiff", picture_of("rgb"))
    assert_same(decode(path), picture_of("rgb"))
    with TiffImageFile(path) as image:
        assert image.tag_v2[278] == max(1, strip_bytes // (40 * 3))


def test_pages_keep_their_own_kind_size_and_metadata(tmp_path: Path) -> None:
    pages = [
        picture_of("rgb", icc_profile=SRGB, dpi=(300.0, 150.0)),
        replace(picture_of("grey-16"), rgb_hwc=picture_of("grey-16").rgb_hwc[:5]),
        picture_of("rgba", xmp=XMP),
    ]
    first = decode(saved(tmp_path / "a.tiff", *pages))
    found = [first, *first.more]
    for one, expected in zip(found, pages, strict=True):
        assert_same(one, expected)
    assert (first.icc_profile, first.dpi) == (SRGB, (300, 150))
    assert [page.icc_profile for page in found[1:]] == [None, None]
    assert is_deep(found[1])
    assert found[2].xmp == XMP


def test_rows_that_come_in_strips_make_the_same_file() -> None:
    picture = picture_of("rgba-16")
    whole, parts = io.BytesIO(), io.BytesIO()
    write_tiff([picture], whole)
    write_tiff_strips([(header_of(picture), regrouped([picture], 3))], parts)
    assert parts.getvalue() == whole.getvalue()


def test_missing_rows_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_module, "STRIP_BYTES", 1)
    picture = picture_of("rgb")
    short = replace(picture, rgb_hwc=picture.rgb_hwc[:-1])
    with pytest.raises(AssertionError, match="all rows"):
        write_tiff_strips([(picture, [short])], io.BytesIO())
