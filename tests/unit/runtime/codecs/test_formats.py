from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image

from runtime.codecs.formats import HAS_AVIF, check_size
from runtime.codecs.output import OutputSettings, target_suffix
from runtime.errors import ConfigError, ImageWriteError


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "bmp"},
        {"format": "PNG"},
        {"quality": 0},
        {"quality": 101},
        {"quality": 95.0},
        {"quality": True},
        {"scale": 0},
        {"scale": -1.5},
        {"scale": float("nan")},
        {"scale": float("inf")},
        {"scale": True},
        {"megapixels": 0.0},
        {"width_px": 0},
        {"height_px": 3.5},
        {"max_size_px": 0},
        {"max_size_px": 10.5},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"^{name} is .*: expected "):
        OutputSettings(**wrong)


def test_limits_of_settings_are_allowed() -> None:
    OutputSettings(quality=1, max_size_px=1)
    OutputSettings(quality=100, scale=0.1, format="webp")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": 2, "width_px": 9}, "--scale and --width exclude each other"),
        ({"height_px": 9, "megapixels": 1.0}, "--height and --megapixels exclude each other"),
        ({"second_pass": True}, "set the size with"),
        ({"second_pass": True, "max_size_px": 9}, "set the size with"),
    ],
)
def test_one_size_at_most(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OutputSettings(**wrong)


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


@pytest.mark.parametrize(
    ("name", "size_hw", "words"),
    [
        ("a.webp", (16_384, 1), r"1 x 16384 pixels, and WEBP holds at most 16,383 pixels a side"),
        ("a.webp", (1, 16_384), r"16384 x 1 pixels, and WEBP holds at most 16,383 pixels a side"),
        ("a.JPG", (65_501, 1), r"JPEG holds at most 65,500 pixels a side"),
        ("a.bmp", (40_000, 40_000), r"BMP holds at most 4 GiB"),
    ],
)
def test_too_large_for_the_format(name: str, size_hw: tuple[int, int], words: str) -> None:
    expected = rf"^{re.escape(name)}: .*{words}: choose png or tiff \(--format\)"
    with pytest.raises(ImageWriteError, match=expected):
        check_size(size_hw, Path(name))


def test_bmp_just_below_its_limit() -> None:
    check_size((30_000, 30_000), Path("a.bmp"))


@pytest.mark.parametrize(
    "call", ["decode(source)", "encode(Picture(rgb_hwc=rgb), target, OutputSettings())"]
)
def test_pillow_loads_its_formats_all_at_once(tmp_path: Path, call: str) -> None:
    """By itself it would load some later, perhaps in two threads at once."""
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    code = f"""
from pathlib import Path
import numpy as np
from PIL import Image
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import FORMATS
from runtime.codecs.output import OutputSettings
from runtime.image.picture import Picture
source, target = Path("a.png"), Path("b.png")
rgb = np.zeros((2, 3, 3), np.uint8)
assert not set(FORMATS) <= Image.OPEN.keys()
{call}
assert set(FORMATS) <= Image.OPEN.keys()
assert "PDF" not in Image.SAVE, "formats that are not ours only cost time"
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
