"""Profiles that do not match a picture's colours are dropped, with a note."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from runtime.codecs.decode import decode

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("mode", "profile", "why"),
    [
        ("RGB", b"damaged", "is damaged"),
        ("RGB", b"damaged" * 60, "is damaged"),
        ("RGB", SRGB.replace(b"acsp", b"????", 1), "is damaged"),
        ("RGB", SRGB.replace(b"RGB ", b"CMYK", 1), "is for CMYK, but the picture is RGB"),
        ("RGB", SRGB.replace(b"RGB ", b"GRAY", 1), "is for grey, but the picture is RGB"),
        ("L", SRGB, "is for RGB, but the picture is grey"),
        ("I;16", SRGB, "is for RGB, but the picture is grey"),
        ("RGB", SRGB.replace(b"mntr", b"link", 1), "describes no picture's colours .*"),
        ("RGB", SRGB.replace(b"mntr", b"abst", 1), "describes no picture's colours .*"),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_impossible_profile_is_left_out(
    tmp_path: Path, mode: str, profile: bytes, why: str, suffix: str
) -> None:
    if suffix == ".jpg" and mode == "I;16":
        pytest.skip("JPEG has 8 bits")
    image = Image.new(mode, (3, 2))
    path = tmp_path / f"a{suffix}"
    image.save(path, icc_profile=profile)
    picture = decode(path)
    assert picture.icc_profile is None
    (note,) = picture.notes
    assert re.fullmatch(f"the ICC profile {why}, and was dropped", note)
