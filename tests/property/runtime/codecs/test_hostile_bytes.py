"""A file damaged in any way gives a picture or one clear error; so does metadata."""

from __future__ import annotations

import contextlib
import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runtime.codecs.decode import decode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.header import Outline, read_outline
from runtime.codecs.vips import VipsReader
from runtime.errors import ImageReadError, ModelError
from runtime.image.picture import Picture
from runtime.model.info import PREFIX, ModelInfo

FORMS = ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", *(["AVIF"] if HAS_AVIF else [])]
KEYS = ["preset", "scale", "sample_type", "size_multiple_px", "halo_px", "origin", "format"]


@cache
def healthy(form: str, *, animated: bool) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (2, 9, 11, 3), np.uint8)
    first, second = (Image.fromarray(frame) for frame in noise)
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    options = {"save_all": True, "append_images": [second]} if animated else {}
    buffer = io.BytesIO()
    first.save(buffer, form, exif=exif, dpi=(300, 300), **options)
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    form = draw(st.sampled_from(FORMS))
    animated = form not in ("JPEG", "BMP") and draw(st.booleans())
    data = bytearray(healthy(form, animated=animated))
    for _ in range(draw(st.integers(0, 6))):
        # Mostly near the start, where headers and tables are.
        at = draw(st.integers(0, len(data) - 1) | st.integers(0, min(120, len(data) - 1)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        if not data:
            break
    return bytes(data[: draw(st.none() | st.integers(0, len(data)))])


@settings(max_examples=300)
@given(damaged())
def test_a_damaged_file_is_a_picture_or_an_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.png"
        path.write_bytes(data)
        for read in (decode, read_outline):
            try:
                # Damage may declare a large size, which would be filled with black for nothing.
                found = read(path, max_pixels=1_000_000)
            except ImageReadError as error:
                message = str(error)
            else:
                message = "x.png: read"
                assert isinstance(found, Picture | Outline)
            assert message.startswith("x.png: ")


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_a_damaged_file_is_read_in_strips_or_an_error(data: bytes) -> None:
    pytest.importorskip("pyvips", exc_type=ImportError)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.png"
        path.write_bytes(data)
        message = "x.png: read"
        try:
            reader = VipsReader(path, memory_bytes=1 << 26)
            height = reader.header.size_hw[0]
            for top in range(0, height, 16):
                reader.rows(top, min(height, top + 16))
        except ImageReadError as error:
            message = str(error)
        assert message.startswith("x.png: ")


@given(
    st.dictionaries(
        st.sampled_from(KEYS).map(PREFIX.__add__) | st.text(), st.text() | st.integers().map(str)
    )
)
def test_metadata_of_a_model_is_understood_or_refused(metadata: dict[str, str]) -> None:
    info = None
    with contextlib.suppress(ModelError):
        info = ModelInfo.from_metadata(metadata, where="a test")
    assert info is None or info.scale >= 1
