from __future__ import annotations

from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs the video extra")

from runtime.video.colours import FULL, LIMITED
from runtime.video.filters import FromRgb, ToRgb

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Weights of red and blue in luma, by ITU-R BT.709, BT.601 and BT.2020."""


def planes(frame: Any, bits: int) -> list[Any]:
    kind = "u1" if bits == 8 else "<u2"
    return [
        np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].astype(float)
        for plane in frame.planes
    ]


def expected(rgb: Any, matrix: int, sample_range: int, bits: int) -> list[Any]:
    # FFmpeg's white of 16 bits is 255 in the upper byte, and nothing in the lower one.
    white = 255 if rgb.dtype == np.uint8 else 255 << 8
    red, green, blue = (rgb[..., n] / white for n in range(3))
    of_red, of_blue = WEIGHTS[matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = (blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)
    step = 2 ** (bits - 8)
    if sample_range == FULL:
        return [luma * (2**bits - 1), *(128 * step + one * (2**bits - 1) for one in chroma)]
    return [step * (16 + 219 * luma), *(step * (128 + 224 * one) for one in chroma)]


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("sample_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_numbers_are_those_of_the_standards(bits: int, sample_range: int, matrix: int) -> None:
    kind: Any = np.uint8 if bits == 8 else np.uint16
    rgb = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, (32, 48, 3), kind)
    form = "yuv444p" if bits == 8 else "yuv444p10le"
    frame = FromRgb((32, 48), form, matrix, sample_range).frame(rgb)
    assert frame.format.name == form
    for found, wanted in zip(planes(frame, bits), expected(rgb, matrix, sample_range, bits)):  # noqa: B905
        error = np.abs(found - np.clip(wanted, 0, 2**bits - 1))
        assert error.max() < (1.1 if bits == 8 else 2.1)
        assert error.mean() < (0.55 if bits == 8 else 1.1)
    back = ToRgb("ffv1", is_deep=bits > 8).samples(frame, matrix, sample_range)
    assert back.dtype == kind
    error = np.abs(back.astype(float) - rgb) * 255 / np.iinfo(kind).max
    assert error.max() < 3
    assert error.mean() < 0.8


@pytest.mark.parametrize("axis", [0, 1])
def test_chroma_lies_where_players_look_for_it(axis: int) -> None:
    """At the left, and between rows; a ramp of blue shows any shift."""
    length = 128
    ramp = np.linspace(0.2, 0.8, length)
    rgb = np.full((length, length, 3), 0.5)
    rgb[..., 2] = ramp[:, None] if axis == 0 else ramp[None]
    frame = FromRgb((length, length), "yuv420p10le", 1, LIMITED).frame(
        np.rint(rgb * 65535).astype(np.uint16)
    )
    blue = planes(frame, 10)[1]
    found = blue[8:-8, 32] if axis == 0 else blue[32, 8:-8]
    of_chroma = expected(np.rint(rgb * 65535).astype(np.uint16), 1, LIMITED, 10)[1]
    along = of_chroma[:, 64] if axis == 0 else of_chroma[64]
    places = np.interp(found, along, np.arange(length)) - 2 * np.arange(8, length // 2 - 8)
    assert places.mean() == pytest.approx(0.5 if axis == 0 else 0.0, abs=0.05)
    back = ToRgb("vp9", is_deep=True).samples(frame, 1, LIMITED)[..., 2] / 65535
    middle = slice(16, -16)
    assert np.abs((back - rgb[..., 2])[middle, middle]).max() < 0.004


@pytest.mark.parametrize(
    ("name", "bits", "sample_range", "value", "grey"),
    [
        ("gray", 8, LIMITED, 235, 255),
        ("gray", 8, LIMITED, 16, 0),
        ("gray", 8, FULL, 235, 235),
        ("gray10le", 10, LIMITED, 940, 65535),
        ("gray10le", 10, FULL, 1023, 65535),
    ],
)
def test_grey_has_a_range_too(
    name: str, bits: int, sample_range: int, value: int, grey: int
) -> None:
    frame = av.VideoFrame(20, 10, name)
    kind = np.dtype("u1" if bits == 8 else "<u2")
    plane = frame.planes[0]
    plane.update(np.full(plane.buffer_size // kind.itemsize, value, kind).tobytes())
    samples = ToRgb("h264", is_deep=bits > 8).samples(frame, 1, sample_range)
    assert samples.shape == (10, 20, 3)
    assert (samples == grey).all()
