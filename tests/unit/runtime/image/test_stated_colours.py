"""Profiles made from numbers, as LittleCMS reads them, against values computed by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from runtime.errors import ImageReadError
from runtime.image.colour import to_srgb
from runtime.image.profile import checked_profile
from runtime.image.stated_colours import (
    ADOBE_RGB,
    SRGB,
    StatedColours,
    colours_of_cicp,
    rgb_profile_of,
)

# From the standards' tables: linear RGB to XYZ with D65, which all of these share.
TO_XYZ = {
    "bt709": [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    "p3": [[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0.0, 0.0451, 1.0439]],
    "bt2020": [[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0.0, 0.0281, 1.0610]],
    "adobe": [[0.5767, 0.1856, 0.1882], [0.2973, 0.6274, 0.0753], [0.0270, 0.0707, 0.9911]],
}
Array = NDArray[np.float64]


def srgb_light(value: Array) -> Array:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def bt709_light(value: Array) -> Array:
    return np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))


def to_8_bits_srgb(light: Array) -> Array:
    light = light.clip(0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return 255 * coded


CASES = {
    "p3": (colours_of_cicp(12, 13, by="x"), "p3", srgb_light),
    "bt2020": (colours_of_cicp(9, 14, by="x"), "bt2020", bt709_light),
    "linear": (colours_of_cicp(1, 8, by="x"), "bt709", lambda value: value),
    "bt709": (colours_of_cicp(1, 1, by="x"), "bt709", bt709_light),
    "gamma-1.8": (StatedColours(by="x", curve=(1.8,)), "bt709", lambda value: value**1.8),
    "adobe": (ADOBE_RGB, "adobe", lambda value: value ** (563 / 256)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_profile_says_what_was_stated(name: str) -> None:
    stated, primaries, light = CASES[name]
    assert not stated.is_srgb
    # Colours inside sRGB, so that nothing is clipped.
    steps = np.array([90, 120, 150], np.uint8)
    samples = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(9, 3, 3)
    profile = stated.profile(is_grey=False)
    found = np.asarray(to_srgb(Image.fromarray(samples), profile), np.float64)
    linear = light(samples / 255) @ np.array(TO_XYZ[primaries]).T
    expected = to_8_bits_srgb(linear @ np.linalg.inv(np.array(TO_XYZ["bt709"])).T)
    assert np.abs(found - expected).max() <= 1.5


@pytest.mark.parametrize("name", CASES)
def test_grey_gets_a_profile_for_grey(name: str) -> None:
    stated, _, light = CASES[name]
    profile = stated.profile(is_grey=True)
    image = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    found = np.asarray(to_srgb(image, profile), np.float64)[0]
    expected = to_8_bits_srgb(light(np.arange(256) / 255))
    # Near black, LittleCMS approximates steep curves by lines.
    assert np.abs(found - expected[:, None])[16:].max() <= 1.5


@pytest.mark.parametrize("name", CASES)
def test_grey_looks_the_same_with_the_rgb_profile_of_its_own(name: str) -> None:
    grey_profile = CASES[name][0].profile(is_grey=True)
    profile = rgb_profile_of(grey_profile)
    assert profile is not None
    grey = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    expected = np.asarray(to_srgb(grey, grey_profile), np.int64)
    found = np.asarray(to_srgb(grey.convert("RGB"), profile), np.int64)
    assert np.abs(found - expected)[:, 16:].max() <= 1


def test_a_grey_profile_without_a_curve_to_light_has_no_rgb_profile() -> None:
    profile = ADOBE_RGB.profile(is_grey=True)
    assert rgb_profile_of(profile) is not None
    assert rgb_profile_of(profile.replace(b"kTRC", b"A2B0")) is None
    assert rgb_profile_of(profile[:20] + b"Lab " + profile[24:]) is None
    assert rgb_profile_of(profile[:140]) is None


@pytest.mark.parametrize("is_grey", [False, True])
def test_a_made_profile_passes_for_the_picture(is_grey: bool) -> None:
    profile = ADOBE_RGB.profile(is_grey=is_grey)
    assert int.from_bytes(profile[:4], "big") == len(profile)
    description = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    assert "Adobe RGB" in description
    image = Image.new("L" if is_grey else "RGB", (1, 1))
    image.info["icc_profile"] = profile
    assert checked_profile(image, is_grey=is_grey) == (profile, [])


@pytest.mark.parametrize("transfer", [13, 2])
@pytest.mark.parametrize("primaries", [1, 2])
def test_srgb_needs_no_profile(primaries: int, transfer: int) -> None:
    assert colours_of_cicp(primaries, transfer, by="x").is_srgb
    assert SRGB.is_srgb
    # As editors write sRGB for programs that support only gAMA.
    assert StatedColours(by="gAMA", curve=(1 / 0.45455,)).is_srgb


@pytest.mark.parametrize(
    ("primaries", "transfer", "words"),
    [
        (9, 16, r"HDR \(PQ, by nclx\).*export it as SDR"),
        (9, 18, r"HDR \(HLG, by nclx\).*export it as SDR"),
        (10, 17, "primaries 10, transfer 17.*convert it"),
        (1, 9, "primaries 1, transfer 9.*convert it"),
        (255, 13, "primaries 255.*convert it"),
    ],
)
def test_what_no_profile_can_say_is_refused(primaries: int, transfer: int, words: str) -> None:
    with pytest.raises(ImageReadError, match=words):
        colours_of_cicp(primaries, transfer, by="nclx")
