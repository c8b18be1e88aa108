from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageCms

from runtime.image.picture import Picture
from runtime.image.strips import rows_of
from runtime.report import detail as detail_module
from runtime.report.detail import Detail
from runtime.report.preview import MOST_VIEWS, VIEW_HW, After, Before


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg))


def enlarged(picture: Picture, factor: int) -> Picture:
    rgb = picture.rgb_hwc.repeat(factor, axis=0).repeat(factor, axis=1)
    alpha = picture.alpha_hw
    return Picture(
        rgb_hwc=rgb,
        alpha_hw=None if alpha is None else alpha.repeat(factor, axis=0).repeat(factor, axis=1),
        icc_profile=picture.icc_profile,
    )


def strips(picture: Picture, rows: int) -> Iterator[Picture]:
    height = picture.size_hw[0]
    for top in range(0, height, rows):
        yield rows_of(picture, top, min(height, top + rows))


@pytest.mark.parametrize("rows", [1, 7, 64, 200])
@pytest.mark.parametrize("cells", [1 << 22, 40])
def test_the_most_detailed_part_is_found(
    monkeypatch: pytest.MonkeyPatch, rows: int, cells: int
) -> None:
    monkeypatch.setattr(detail_module, "MOST_CELLS", cells)
    rgb = np.zeros((200, 300, 3), np.uint8)
    rgb[120:150, 200:240] = np.random.default_rng(0).integers(0, 256, (30, 40, 3))
    detail = Detail((200, 300), (60, 80))
    for strip in strips(Picture(rgb_hwc=rgb), rows):
        detail.add(strip.rgb_hwc)
    top, left = detail.top_left()
    slack = 0 if cells > 40 else 25
    assert top - slack <= 120 <= 150 <= top + 60 + slack
    assert left - slack <= 200 <= 240 <= left + 80 + slack


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 500), (500, 1), (7, 9), (700, 410)])
@pytest.mark.parametrize("rows", [1, 5, 300, 1000])
@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize("alpha", [False, True])
def test_strips_have_the_preview_of_the_whole(
    size_hw: tuple[int, int], rows: int, factor: int, alpha: bool
) -> None:
    generator = np.random.default_rng(sum(size_hw))
    rgb = generator.integers(0, 256, (*size_hw, 3), np.uint8)
    opacity = generator.integers(0, 256, size_hw, np.uint8) if alpha else None
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(rgb_hwc=rgb, alpha_hw=opacity, icc_profile=profile)
    result = enlarged(picture, factor)
    before = Before.of_strips(picture, lambda: strips(picture, rows), result.size_hw)
    after = After(before, result.size_hw)
    for strip in strips(result, rows):
        after.add(Picture(rgb_hwc=strip.rgb_hwc, alpha_hw=strip.alpha_hw))
    assert after.preview() == Before.of(picture, result.size_hw).beside(result)


def test_what_is_kept_of_a_source_is_bounded() -> None:
    picture = Picture(rgb_hwc=np.zeros((4000, 4000, 3), np.uint8))
    before = Before.of(picture, (40, 40))
    assert before.part.size_hw == tuple(MOST_VIEWS * side for side in VIEW_HW)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 500), (500, 1), (7, 9), (90, 120), (300, 400)])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_any_size_has_a_preview(size_hw: tuple[int, int], factor: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 65536, (*size_hw, 3), np.uint16)
    picture = Picture(rgb_hwc=rgb)
    result = enlarged(picture, factor)
    preview = Before.of(picture, result.size_hw).beside(result)
    before, after = opened(preview.before), opened(preview.after)
    assert before.size == after.size == preview.size_hw[::-1]
    assert preview.size_hw[0] <= VIEW_HW[0] + factor
    assert preview.size_hw[1] <= VIEW_HW[1] + factor
    left, top, width, height = preview.box
    assert 0 <= left <= left + width <= 1.0001
    assert 0 <= top <= top + height <= 1.0001
    assert max(opened(preview.whole).size) <= 128


def test_before_and_after_show_the_same_place() -> None:
    rgb = np.full((300, 400, 3), 40, np.uint8)
    rgb[150:160, 220:230] = 250
    picture = Picture(rgb_hwc=rgb)
    preview = Before.of(picture, (1200, 1600)).beside(enlarged(picture, 4))
    one, other = (np.asarray(opened(jpeg)).astype(int) for jpeg in (preview.before, preview.after))
    assert other.max() > 230
    assert np.abs(one - other).mean() < 3


def test_a_result_smaller_than_its_source() -> None:
    picture = Picture(rgb_hwc=np.zeros((600, 800, 3), np.uint8))
    preview = Before.of(picture, (30, 40)).beside(Picture(rgb_hwc=np.zeros((30, 40, 3), np.uint8)))
    assert preview.size_hw == (30, 40)


def test_transparent_parts_are_white_and_profiles_are_applied() -> None:
    clear = Picture(
        rgb_hwc=np.zeros((8, 8, 3), np.uint8), alpha_hw=np.zeros((8, 8), np.uint8), is_grey=True
    )
    assert np.asarray(opened(Before.of(clear, (8, 8)).beside(clear).after)).min() == 255
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (lab, b"damaged"):
        picture = Picture(rgb_hwc=np.full((8, 8, 3), 100, np.uint8), icc_profile=profile)
        after = np.asarray(opened(Before.of(picture, (8, 8)).beside(picture).after))
        assert np.abs(after.astype(int) - 100).max() <= 2
