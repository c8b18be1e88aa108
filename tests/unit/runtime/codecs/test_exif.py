from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.exif import exif_for
from runtime.codecs.output import OutputSettings
from runtime.image.picture import Picture


def empty_block() -> Image.Exif:
    block = Image.Exif()
    block[IFD.Exif] = {}
    block[Base.Orientation] = 6
    return block


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_an_empty_block_is_not_added(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png", exif=empty_block())
    picture = decode(tmp_path / "a.png")
    assert picture.exif is None
    encode(picture, tmp_path / f"b{suffix}", OutputSettings())
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert "exif" not in image.info
        assert IFD.Exif not in image.getexif()


def test_a_block_for_the_resolution_holds_that_alone() -> None:
    picture = Picture(rgb_hwc=np.zeros((2, 3, 3), np.uint8), dpi=(300.0, 150.0))
    content, notes = exif_for(picture, with_dpi=True)
    assert content is not None
    block = Image.Exif()
    block.load(content)
    assert set(block) == {Base.XResolution, Base.YResolution, Base.ResolutionUnit}
    assert (block[Base.XResolution], notes) == (300, [])
