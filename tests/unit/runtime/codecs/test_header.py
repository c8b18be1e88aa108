"""The header agrees with the decoded picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.codecs.limits import TooManyPixels
from runtime.errors import ImageReadError
from runtime.image.picture import is_deep
from tests.support.hostile_files import png
from tests.support.images import png_16


def turned(orientation: int) -> Any:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def noise(mode: str) -> Image.Image:
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    return Image.fromarray(samples).convert(mode)


FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain.png": ("RGB", {}),
    "alpha.png": ("RGBA", {}),
    "turned.png": ("RGB", {"exif": turned(6)}),
    "turned.jpg": ("RGB", {"exif": turned(8)}),
    "upside.jpg": ("L", {"exif": turned(3)}),
    "turned.tiff": ("RGB", {"exif": turned(5)}),
    "alpha.webp": ("RGBA", {"lossless": True}),
    "a.gif": ("P", {}),
    "a.bmp": ("RGB", {}),
    "frames.png": ("RGB", {"save_all": True, "append_images": [noise("L").convert("RGB")] * 2}),
    "frames.gif": ("L", {"save_all": True, "append_images": [Image.new("L", (30, 20))]}),
    "pages.tiff": ("RGB", {"save_all": True, "append_images": [noise("RGBA"), noise("L")]}),
}


@pytest.mark.parametrize("name", FILES)
def test_the_header_says_what_decoding_gives(tmp_path: Path, name: str) -> None:
    mode, options = FILES[name]
    path = tmp_path / name
    noise(mode).save(path, **options)
    outline, picture = read_outline(path), decode(path)
    assert outline.size_hw == picture.size_hw
    assert outline.frames == 1 + len(picture.more)
    assert outline.is_deep == is_deep(picture)
    assert outline.has_alpha == (picture.alpha_hw is not None)
    assert outline.format == picture.source_format


def test_16_bits_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png_16([0, 4660, 65535] * 2, 2, 2))
    assert read_outline(path).is_deep
    Image.new("I;16", (30, 20)).save(path)
    assert read_outline(path).is_deep


def test_damaged_samples_do_not_matter_yet(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise("RGB").save(path)
    path.write_bytes(path.read_bytes()[:-300])
    assert read_outline(path).size_hw == (20, 30)
    with pytest.raises(ImageReadError, match="image file is truncated"):
        decode(path)


@pytest.mark.parametrize("name", [*FILES, "own.bmp"])
def test_pixels_of_all_frames_are_limited(tmp_path: Path, name: str) -> None:
    mode, options = FILES.get(name, ("RGB", {}))
    path = tmp_path / name
    noise(mode).save(path, **options)
    pixels = 600 * read_outline(path).frames
    assert read_outline(path, max_pixels=pixels)
    with pytest.raises(TooManyPixels, match=rf"^{name}: has .*at most {pixels - 1:,} are read"):
        read_outline(path, max_pixels=pixels - 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7" + bytes(99), "a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "is damaged"),
        (png(0, 0, 8, 2, b""), "has no pixels"),
        (b"words, words, words, words, words, words", "is not a picture"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=rf"^a\.png: .*{said}"):
        read_outline(path)
