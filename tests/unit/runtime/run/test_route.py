from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.output import OutputSettings
from runtime.errors import ImageReadError, ImageWriteError
from runtime.image.picture import Picture, is_deep
from runtime.run.route import Route
from tests.support.images import png_16
from tests.support.pipeline_bench import NearestUpscaler

BYTES = NearestUpscaler.info
FLOATS = replace(BYTES, sample_type="float32")
RESULT_BYTES = 3 * 16 * 30 * 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20), (1, 2, 3)).save(path)
    return path


@pytest.mark.parametrize(("missing_bytes", "is_whole"), [(0, True), (1, False)])
def test_a_result_that_just_fits_is_made_whole(
    source: Path, missing_bytes: int, is_whole: bool
) -> None:
    route = Route(FLOATS, OutputSettings(), whole_bytes=RESULT_BYTES - missing_bytes)
    header, frames, in_strips = route.foresee(source)
    assert (header.size_hw, frames, in_strips) == ((20, 30), 1, not is_whole)
    opened = route.open(source)
    assert isinstance(opened, Picture) is is_whole
    if not isinstance(opened, Picture):
        assert opened.header.size_hw == (20, 30)
        assert opened.rows(0, 20).rgb_hwc[0, 0].tolist() == [1, 2, 3]


def test_a_second_pass_counts(source: Path) -> None:
    settings = OutputSettings(scale=16, second_pass=True)
    for whole_bytes, in_strips in ((16 * RESULT_BYTES, False), (16 * RESULT_BYTES - 1, True)):
        assert Route(FLOATS, settings, whole_bytes=whole_bytes).foresee(source)[2] is in_strips
    with pytest.raises(ImageWriteError, match="choose a smaller --width"):
        Route(FLOATS, OutputSettings(width_px=1000), whole_bytes=1 << 30).open(source)


def test_a_model_of_bytes_gets_8_bits(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png_16([0, 4660, 65535] * 2, 2, 2))
    for info, deep in ((BYTES, False), (FLOATS, True)):
        route = Route(info, OutputSettings(), whole_bytes=1 << 20)
        assert (route.foresee(path)[0].rgb_hwc.dtype == np.uint16) is deep
        opened = route.open(path)
        assert isinstance(opened, Picture)
        assert is_deep(opened) is deep
        assert any("8 bits" in note for note in opened.notes) is not deep


def test_pages_cannot_be_made_in_strips(tmp_path: Path) -> None:
    path = tmp_path / "pages.tiff"
    pages = [Image.new("L", (30, 20), level) for level in (0, 1)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    route = Route(FLOATS, OutputSettings(), whole_bytes=2 * RESULT_BYTES)
    assert route.foresee(path)[1:] == (2, False)
    small = Route(FLOATS, OutputSettings(), whole_bytes=RESULT_BYTES)
    for attempt in (small.foresee, small.open):
        with pytest.raises(ImageReadError, match=r"pages\.tiff: the result of its 2 frames"):
            attempt(path)


def test_a_source_that_is_too_large_to_decode_is_read_in_strips(source: Path) -> None:
    pytest.importorskip("pyvips", reason="needs the large extra")
    route = Route(FLOATS, OutputSettings(), whole_bytes=32 * 599 // 4)
    assert route.max_pixels == 599
    header, _, in_strips = route.foresee(source)
    assert (header.size_hw, in_strips) == ((20, 30), True)
    opened = route.open(source)
    assert not isinstance(opened, Picture)
    assert opened.rows(0, 20).rgb_hwc[19, 29].tolist() == [1, 2, 3]
