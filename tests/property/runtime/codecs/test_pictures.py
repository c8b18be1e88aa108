"""Any samples survive a round trip; any bytes make the decoder fail cleanly."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from PIL import Image

from runtime.codecs import decode as decode_module
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.output import OutputSettings, fit, target_size_hw
from runtime.codecs.pil import image_from_picture, picture_from_image
from runtime.errors import ImageReadError
from runtime.image.picture import Picture, Samples, repeat_grey
from runtime.image.resize import enlarge_alpha


@st.composite
def pictures(draw: st.DrawFn, *, deep: bool = True) -> Picture:
    """Pictures of any kind, of at most 12 x 12 pixels."""
    dtype = draw(st.sampled_from([np.uint8, np.uint16] if deep else [np.uint8]))
    size_hw = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    samples: NDArray[Any] = draw(npst.arrays(dtype, (*size_hw, 4)))
    grey, alpha = draw(st.booleans()), draw(st.booleans())
    return Picture(
        rgb_hwc=repeat_grey(samples[..., 0]) if grey else samples[..., :3],
        alpha_hw=samples[..., 3] if alpha else None,
        is_grey=grey,
    )


def same(found: Samples | None, expected: Samples | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return found.dtype == expected.dtype and np.array_equal(found, expected)


@given(pictures(), st.sampled_from([".png", ".tif"]))
def test_lossless_formats_are(picture: Picture, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"a{suffix}"
        notes = encode(picture, target, OutputSettings())
        back = decode(target)
    if len(notes) == 1:
        assert notes[0].startswith("grey was written as RGB")
        assert picture.is_grey and picture.alpha_hw is not None and suffix == ".tif"
    else:
        assert notes == []
        assert back.is_grey == picture.is_grey
    assert back.notes == []
    assert same(back.rgb_hwc, picture.rgb_hwc)
    assert same(back.alpha_hw, picture.alpha_hw)


@given(pictures(deep=False))
def test_images_in_memory_come_back(picture: Picture) -> None:
    back = picture_from_image(image_from_picture(picture))
    assert back.is_grey == picture.is_grey
    assert same(back.rgb_hwc, picture.rgb_hwc)
    assert same(back.alpha_hw, picture.alpha_hw)


def files() -> dict[str, bytes]:
    ramp = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(16, 12, 3)
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    found = {}
    for name, options in {
        "PNG": {"exif": exif, "dpi": (72, 72)},
        "JPEG": {"exif": exif, "quality": 90},
        "WEBP": {"exif": exif.tobytes()},
        "TIFF": {"tiffinfo": {271: "Maker", 274: 6}},
        "BMP": {},
        "GIF": {},
    }.items():
        buffer = io.BytesIO()
        Image.fromarray(ramp).save(buffer, name, **options)  # type: ignore[arg-type]
        found[name] = buffer.getvalue()
    return found


FILES = files()


@pytest.mark.parametrize("name", FILES)
def test_undamaged_file_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(FILES[name])
    assert sorted(decode(path).size_hw) == [12, 16]


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_file_is_refused_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: st.DataObject
) -> None:
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 1_000_000)
    damaged = bytearray(FILES[name])
    places = st.integers(0, len(damaged) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        damaged[place] = value
    path = tmp_path / "a.png"
    path.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    try:
        picture = decode(path)
    except ImageReadError:  # any other error fails the test
        return
    height, width = picture.size_hw
    assert picture.rgb_hwc.shape == (height, width, 3)
    assert picture.rgb_hwc.dtype in (np.uint8, np.uint16)
    assert picture.alpha_hw is None or picture.alpha_hw.shape == (height, width)


@given(
    st.tuples(st.integers(1, 100_000), st.integers(1, 100_000)),
    st.integers(1, 500_000),
)
def test_largest_size_is_met_exactly(source: tuple[int, int], limit: int) -> None:
    wanted = (source[0] * 4, source[1] * 4)
    size = target_size_hw(source, OutputSettings(max_size_px=limit), 4)
    assert max(size) == min(limit, max(wanted))
    assert min(size) >= 1
    ratio = max(size) / max(wanted)
    for found, original in zip(size, wanted, strict=True):
        assert abs(found - max(1, original * ratio)) <= 0.5 + 1e-6


@given(
    pictures(),
    st.one_of(
        st.fixed_dictionaries({"scale": st.floats(0.01, 4)}),
        st.fixed_dictionaries({"max_size_px": st.integers(1, 60)}),
        st.fixed_dictionaries({"width_px": st.integers(1, 4)}),
        st.fixed_dictionaries({"height_px": st.integers(1, 4)}),
    ),
)
def test_any_result_fits(picture: Picture, size: dict[str, Any]) -> None:
    settings_ = OutputSettings(**size)
    rgb: NDArray[Any] = picture.rgb_hwc.repeat(4, axis=0).repeat(4, axis=1)
    alpha = picture.alpha_hw
    large = Picture(
        rgb_hwc=rgb,
        alpha_hw=None if alpha is None else enlarge_alpha(alpha, 4),
        is_grey=picture.is_grey,
    )
    result = fit(large, picture.size_hw, settings_, 4)
    assert result.size_hw == target_size_hw(picture.size_hw, settings_, 4)
    assert result.rgb_hwc.dtype == picture.rgb_hwc.dtype
    assert (result.alpha_hw is None) == (alpha is None)
    assert result.alpha_hw is None or result.alpha_hw.shape == result.size_hw


@given(
    st.sampled_from([np.uint8, np.uint16]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 4),
    st.integers(0, 65535),
)
def test_constant_alpha_stays_constant(
    dtype: type[np.uint8] | type[np.uint16], size_hw: tuple[int, int], scale: int, value: int
) -> None:
    value %= int(np.iinfo(dtype).max) + 1
    alpha: NDArray[Any] = np.full(size_hw, value, dtype)
    result = enlarge_alpha(alpha, scale)
    assert result.shape == (size_hw[0] * scale, size_hw[1] * scale)
    assert (result == value).all()
