"""What may be asked of results, and how their names end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from runtime.decode import decode
from runtime.encode import encode
from runtime.errors import ConfigError
from runtime.formats import HAS_AVIF, READABLE_SUFFIXES, OutputSettings, target_suffix
from runtime.picture import Picture

BLACK = Picture(rgb_hwc=np.zeros((4, 5, 3), np.uint8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "bmp"},
        {"format": "PNG"},
        {"quality": 0},
        {"quality": 101},
        {"quality": 95.0},
        {"quality": True},
        {"scale": 1},
        {"scale": 5},
        {"scale": 2.0},
        {"max_size_px": 0},
        {"max_size_px": 10.5},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"^{name} is .*: expected "):
        OutputSettings(**wrong)


def test_limits_of_settings_are_allowed() -> None:
    OutputSettings(quality=1, scale=2, max_size_px=1)
    OutputSettings(quality=100, scale=4, format="webp")


# --- names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "form", "suffix"),
    [
        ("a.png", "same", ".png"),
        ("a.JPG", "same", ".JPG"),
        ("a.b.Jpeg", "same", ".Jpeg"),
        ("a.jfif", "same", ".jfif"),
        ("a.webp", "same", ".webp"),
        ("a.TIF", "same", ".TIF"),
        ("a.bmp", "same", ".bmp"),
        ("a.gif", "same", ".gif"),
        ("a.avif", "same", ".avif" if HAS_AVIF else ".png"),
        ("a.apng", "same", ".png"),
        ("a", "same", ".png"),
        ("a.png", "jpg", ".jpg"),
        ("a.JPEG", "jpg", ".jpg"),
        ("a.gif", "webp", ".webp"),
        ("a.tif", "tiff", ".tiff"),
        ("a.bmp", "png", ".png"),
    ],
)
def test_target_suffix(
    source: str, form: Literal["same", "png", "jpg", "webp", "tiff"], suffix: str
) -> None:
    assert target_suffix(Path(source), OutputSettings(format=form)) == suffix


def test_every_readable_name_leads_to_one_that_is_written(tmp_path: Path) -> None:
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"} <= READABLE_SUFFIXES
    for suffix in READABLE_SUFFIXES:
        target = tmp_path / ("a" + target_suffix(Path("a" + suffix), OutputSettings()))
        encode(BLACK, target, OutputSettings())
        decode(target)


def test_name_that_says_no_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.xyz names no format .* \.png, \.jpg"):
        encode(BLACK, tmp_path / "a.xyz", OutputSettings())
