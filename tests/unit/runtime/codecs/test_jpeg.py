from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.jpeg import write_jpeg
from runtime.image.picture import Picture, repeat_grey
from runtime.image.strips import header_of, regrouped

OPTIONS = {"quality": 90, "subsampling": 0}


def picture(height: int, *, is_grey: bool = False) -> Picture:
    samples = np.random.default_rng(height).integers(0, 256, (height, 37, 3), np.uint8)
    return Picture(rgb_hwc=repeat_grey(samples[..., 0]) if is_grey else samples, is_grey=is_grey)


def in_strips(source: Picture, rows: int) -> bytes:
    file = io.BytesIO()
    write_jpeg(header_of(source), regrouped([source], rows), file, OPTIONS)
    return file.getvalue()


@pytest.mark.parametrize("is_grey", [False, True])
# Less than a block, whole strips, one row more, and over eight markers' worth of blocks.
@pytest.mark.parametrize("height", [1, 64, 128, 129, 600])
def test_pixels_are_those_of_a_file_written_whole(height: int, is_grey: bool) -> None:
    source = picture(height, is_grey=is_grey)
    whole = io.BytesIO()
    Image.fromarray(source.rgb_hwc[..., 0] if is_grey else source.rgb_hwc).save(
        whole, "JPEG", **OPTIONS
    )
    with Image.open(io.BytesIO(in_strips(source, 50))) as found, Image.open(whole) as expected:
        assert found.mode == ("L" if is_grey else "RGB")
        assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_how_rows_come_makes_no_difference() -> None:
    source = picture(200)
    assert in_strips(source, 7) == in_strips(source, 200)


def test_metadata_stands_once_before_the_samples(tmp_path: Path) -> None:
    source, file = picture(130), io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    options = OPTIONS | {"exif": exif.tobytes(), "comment": b"words", "dpi": (300, 300)}
    write_jpeg(header_of(source), [source], file, options)
    assert file.getvalue().count(b"Camera") == 1
    with Image.open(file) as found:
        found.load()
        assert found.size == (37, 130)
        assert found.getexif()[0x010F] == "Camera"
        assert (found.info["comment"], found.info["dpi"]) == (b"words", (300, 300))


def test_chroma_must_not_be_subsampled() -> None:
    with pytest.raises(AssertionError, match="16 rows"):
        write_jpeg(header_of(picture(8)), [picture(8)], io.BytesIO(), {"subsampling": 2})
