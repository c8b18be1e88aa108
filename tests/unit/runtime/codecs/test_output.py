"""Results are reduced to the right size, without bleeding, ringing out of range or shifts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.codecs.output import OutputSettings, fit, passes_for, target_size_hw
from runtime.errors import ConfigError, ImageWriteError
from runtime.image.picture import Picture, repeat_grey

TYPES = [np.uint8, np.uint16]
Type = type[np.uint8] | type[np.uint16]


def large(size_hw: tuple[int, int], colour: tuple[int, int, int]) -> Picture:
    """A flat result for a source of this size."""
    height, width = size_hw
    return Picture(rgb_hwc=np.full((4 * height, 4 * width, 3), colour, np.uint8))


@pytest.mark.parametrize(
    ("source", "scale", "max_size", "target"),
    [
        ((10, 20), 4, None, (40, 80)),
        ((10, 20), 3, None, (30, 60)),
        ((10, 20), 2, None, (20, 40)),
        ((10, 20), 4, 80, (40, 80)),
        ((10, 20), 4, 79, (40, 79)),
        ((10, 20), 2, 30, (15, 30)),
        ((20, 10), 4, 50, (50, 25)),
        ((1, 1000), 4, 100, (1, 100)),
        ((1, 1), 4, 1, (1, 1)),
        ((7, 13), 3, 33, (18, 33)),
    ],
)
def test_sizes(
    source: tuple[int, int], scale: int, max_size: int | None, target: tuple[int, int]
) -> None:
    settings = OutputSettings(scale=None if max_size else scale, max_size_px=max_size)
    assert target_size_hw(source, settings, 4) == target
    picture = large(source, (200, 30, 40))
    result = fit(picture, source, settings, 4)
    assert result.size_hw == target
    assert (result.rgb_hwc == (200, 30, 40)).all()


def test_right_size_is_passed_on() -> None:
    picture = large((3, 5), (1, 2, 3))
    assert fit(picture, (3, 5), OutputSettings(max_size_px=20), 4) is picture


@pytest.mark.parametrize(
    ("source", "asked", "target", "passes"),
    [
        ((10, 20), {"scale": 1.5}, (15, 30), 1),
        ((3, 5), {"scale": 1.5}, (5, 8), 1),  # halves round up
        ((10, 20), {"scale": 0.25}, (3, 5), 1),
        ((10, 20), {"width_px": 33}, (17, 33), 1),
        ((10, 20), {"height_px": 33}, (33, 66), 1),
        ((10, 20), {"width_px": 80}, (40, 80), 1),
        ((10, 20), {"width_px": 81, "second_pass": True}, (41, 81), 2),
        ((10, 20), {"scale": 16, "second_pass": True}, (160, 320), 2),
        ((10, 20), {"scale": 2, "second_pass": True}, (20, 40), 1),
        ((1000, 1500), {"megapixels": 6}, (2000, 3000), 1),
        ((1, 1000), {"width_px": 100}, (1, 100), 1),
    ],
)
def test_any_size(
    source: tuple[int, int], asked: dict[str, Any], target: tuple[int, int], passes: int
) -> None:
    settings = OutputSettings(**asked)
    assert target_size_hw(source, settings, 4) == target
    assert passes_for([source], settings, 4) == passes
    height, width = (size * 4**passes for size in source)
    if height * width < 10**6:
        picture = Picture(rgb_hwc=np.full((height, width, 3), (200, 30, 40), np.uint8))
        result = fit(picture, source, settings, 4)
        assert result.size_hw == target
        assert (result.rgb_hwc == (200, 30, 40)).all()


@pytest.mark.parametrize("scale", [1, 2, 8])
def test_by_default_the_result_is_as_large_as_the_model_makes_it(scale: int) -> None:
    assert target_size_hw((3, 5), OutputSettings(), scale) == (3 * scale, 5 * scale)


def test_a_scale_that_the_model_does_not_reach() -> None:
    with pytest.raises(ConfigError, match=r"--scale is 4, .* enlarges 2 times: .* --second-pass"):
        target_size_hw((3, 5), OutputSettings(scale=4), 2)
    with pytest.raises(ConfigError, match=r"4 times in two passes: choose a smaller --scale$"):
        target_size_hw((3, 5), OutputSettings(scale=4.5, second_pass=True), 2)
    with pytest.raises(ConfigError, match=r"enlarges 2 times: choose a smaller --scale$"):
        target_size_hw((3, 5), OutputSettings(scale=5), 2)


def test_a_size_that_one_picture_does_not_reach() -> None:
    settings = OutputSettings(width_px=100)
    assert target_size_hw((30, 25), settings, 4) == (120, 100)
    with pytest.raises(
        ImageWriteError, match=r"^24x30 px are to become 100x125, .*smaller --width"
    ):
        target_size_hw((30, 24), settings, 4)


def test_pages_of_other_sizes_are_measured_each() -> None:
    pages = [large(size, (9, 9, 9)) for size in ((6, 8), (3, 4))]
    result = fit(replace(pages[0], more=(pages[1],)), (6, 8), OutputSettings(scale=1.5), 4)
    assert [result.size_hw, result.more[0].size_hw] == [(9, 12), (5, 6)]
    assert passes_for([(6, 8), (3, 4)], OutputSettings(width_px=20, second_pass=True), 4) == 2


def everything(dtype: Type, *, grey: bool, alpha: bool) -> Picture:
    noise = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (40, 48, 4), dtype)
    return Picture(
        rgb_hwc=repeat_grey(noise[..., 0]) if grey else noise[..., :3],
        alpha_hw=noise[..., 3] if alpha else None,
        is_grey=grey,
        icc_profile=b"profile",
        exif=b"exif",
        dpi=(1.0, 2.0),
        source_format="TIFF",
        notes=["note"],
    )


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_type_and_metadata_are_kept(dtype: Type, grey: bool, alpha: bool) -> None:
    picture = everything(dtype, grey=grey, alpha=alpha)
    before = picture.rgb_hwc.copy()
    result = fit(picture, (10, 12), OutputSettings(scale=2), 4)
    assert result.rgb_hwc.shape == (20, 24, 3)
    assert result.rgb_hwc.dtype == dtype
    assert (result.alpha_hw is not None) == alpha
    if result.alpha_hw is not None:
        assert result.alpha_hw.shape == (20, 24)
        assert result.alpha_hw.dtype == dtype
    assert result.is_grey == grey
    if grey:
        assert (result.rgb_hwc == result.rgb_hwc[..., :1]).all()
    kept = ("icc_profile", "exif", "dpi", "source_format", "notes")
    assert [getattr(result, name) for name in kept] == [getattr(picture, name) for name in kept]
    assert np.array_equal(picture.rgb_hwc, before)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["rgb", "grey", "alpha"])
def test_reduction_is_antialiased_and_in_place(dtype: Type, kind: str) -> None:
    full = int(np.iinfo(dtype).max)
    # Finer stripes than the result can hold on the left, a slow ramp on the right.
    stripes = np.tile([0, full], (64, 32))
    ramp = np.tile(np.linspace(0, full, 64).astype(int), (64, 1))
    plane: NDArray[Any] = np.hstack([stripes, ramp]).astype(dtype)
    picture = Picture(
        rgb_hwc=repeat_grey(plane),
        alpha_hw=np.full_like(plane, full) if kind == "alpha" else None,
        is_grey=kind == "grey",
    )
    result = fit(picture, (16, 32), OutputSettings(scale=2), 4).rgb_hwc[..., 1].astype(float) / full
    assert np.abs(result[:, 4:28] - 0.5).max() < 0.02
    expected = (2 * np.arange(32) + 0.5) / 63
    assert np.abs(result[:, 36:60] - expected[4:28]).max() < 0.01


@pytest.mark.parametrize("dtype", TYPES)
def test_16_bits_keep_their_precision(dtype: Type) -> None:
    step = 1 if dtype is np.uint16 else 257
    value = 30_001 // step
    for alpha in (None, np.full((16, 16), np.iinfo(dtype).max, dtype)):
        picture = Picture(rgb_hwc=np.full((16, 16, 3), value, dtype), alpha_hw=alpha)
        assert (fit(picture, (4, 4), OutputSettings(scale=3), 4).rgb_hwc == value).all()


def test_rounds_to_nearest() -> None:
    noise = np.random.default_rng(0).integers(20_000, 40_000, (64, 64), np.uint16)
    picture = Picture(rgb_hwc=repeat_grey(noise), is_grey=True)
    result = fit(picture, (16, 16), OutputSettings(scale=2), 4).rgb_hwc[..., 0]
    exact = Image.fromarray(noise.astype(np.float32)).resize((32, 32), Image.Resampling.LANCZOS)
    assert np.abs(result - np.asarray(exact)).max() <= 0.5


@pytest.mark.parametrize("dtype", TYPES)
def test_hidden_colours_do_not_bleed(dtype: Type) -> None:
    full = np.iinfo(dtype).max
    rgb = np.zeros((32, 32, 3), dtype)
    rgb[:, :16] = (full, 0, 0)
    rgb[:, 16:] = (0, full, 0)  # under full transparency
    alpha = np.zeros((32, 32), dtype)
    alpha[:, :15] = full
    alpha[:, 15] = full // 2
    result = fit(Picture(rgb_hwc=rgb, alpha_hw=alpha), (8, 8), OutputSettings(scale=3), 4)
    assert result.alpha_hw is not None
    seen = result.alpha_hw > 0
    assert 0 < seen.sum() < seen.size
    assert result.rgb_hwc[..., 0][seen].min() >= full * 0.99
    assert result.rgb_hwc[..., 1][seen].max() <= full * 0.01


def test_wholly_transparent_picture_is_no_noise() -> None:
    rgb = np.full((16, 16, 3), (10, 200, 30), np.uint8)
    picture = Picture(rgb_hwc=rgb, alpha_hw=np.zeros((16, 16), np.uint8))
    result = fit(picture, (4, 4), OutputSettings(scale=2), 4)
    assert result.alpha_hw is not None
    assert not result.alpha_hw.any()
    assert (result.rgb_hwc == (10, 200, 30)).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_edges_stay_within_the_range(dtype: Type) -> None:
    """Lanczos overshoots; a value that wraps around would turn white into black."""
    full = np.iinfo(dtype).max
    rgb: NDArray[Any] = np.zeros((32, 32, 3), dtype)
    rgb[:, 16:] = full
    for alpha in (None, rgb[..., 0].T.copy()):
        result = fit(Picture(rgb_hwc=rgb, alpha_hw=alpha), (8, 8), OutputSettings(scale=3), 4)
        shown = result.rgb_hwc[14:, :, 0].astype(float)  # the lower half is opaque
        assert shown[:, :10].max() < full * 0.2
        assert shown[:, 14:].min() > full * 0.8
