"""TIFF samples of every kind are read exactly, or rejected by name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD, Base

from runtime.codecs.decode import decode
from runtime.errors import ImageReadError
from tests.support.tiff_files import (
    FULL,
    SMALL,
    SRGB,
    Order,
    Tags,
    noise,
    seen,
    tiff,
    written,
)

# --- pages ---------------------------------------------------------------------------------


# --- samples -------------------------------------------------------------------------------


def packed(samples: NDArray[Any], order: Order, predictor: int, method: int) -> bytes:
    """One strip, compressed."""
    rows, width, channels = samples.shape
    if predictor == 2:
        whole = samples.view(f"u{samples.itemsize}")
        differences = whole.copy()
        differences[:, 1:] -= whole[:, :-1]
        content = differences.astype(differences.dtype.newbyteorder(order)).tobytes()
    elif predictor == 3:
        size = samples.itemsize
        bytes_of = samples.astype(f">f{size}").view(np.uint8).reshape(rows, -1, size)
        planes = bytes_of.swapaxes(1, 2).reshape(rows, -1, channels)
        differences = planes.copy()
        differences[:, 1:] -= planes[:, :-1]
        content = differences.tobytes()
    else:
        content = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    if method in (1, 8):
        return zlib.compress(content) if method == 8 else content
    grey = Image.frombytes("L", (width * channels * samples.itemsize, rows), content)
    file = io.BytesIO()
    grey.save(file, "TIFF", compression={5: "tiff_lzw", 32773: "packbits", 34925: "lzma"}[method])
    with Image.open(file) as image:
        (place,), (length,) = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    return file.getvalue()[place : place + length]


CASES: dict[str, tuple[tuple[int, ...], Any, Tags]] = {
    "grey-alpha-16": ((20, 24, 2), np.uint16, {338: (2,)}),
    "rgb-16": ((20, 24, 3), np.uint16, {}),
    "rgb-alpha-16": ((20, 24, 4), np.uint16, {338: (2,)}),
    "five-bands-16": ((20, 24, 5), np.uint16, {338: (0, 0)}),
    "eight-bands": ((20, 24, 8), np.uint8, {338: (0,) * 5}),
    "grey-and-bands": ((20, 24, 4), np.uint8, {262: (1,), 338: (0,) * 3}),
    "bands-and-alpha": ((20, 24, 5), np.uint8, {338: (0, 2)}),
    "grey-32-float": ((20, 24, 1), np.float32, {339: (3,)}),
    "rgb-32-float": ((20, 24, 3), np.float32, {339: (3,) * 3}),
    "rgb-16-float": ((20, 24, 3), np.float16, {339: (3,) * 3}),
    "rgb-64-float": ((20, 24, 3), np.float64, {339: (3,) * 3}),
    "rgb-alpha-32-float": ((20, 24, 4), np.float32, {338: (2,), 339: (3,) * 4}),
}


@pytest.mark.parametrize("method", [1, 5, 8, 32773, 34925])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", CASES)
def test_samples_are_read_exactly(tmp_path: Path, name: str, order: Order, method: int) -> None:
    shape, dtype, tags = CASES[name]
    samples = noise(shape, dtype)
    # Whether Pillow knows eight bands or not, each byte order and compression is the same picture.
    for predictor in (1, 2, 3) if method in (5, 8) else (1,):
        if predictor == 3 and samples.dtype.kind != "f":
            continue
        extra = {**tags, 259: (method,), 317: (predictor,)}
        extra["packed"] = packed(samples, order, predictor, method)
        path = written(tmp_path / "a.tif", tiff((samples, extra), order=order))
        picture = seen(path)
        is_float = samples.dtype.kind == "f"
        expected = np.rint(samples.astype(np.float64) * 65535) if is_float else samples
        colours = 1 if shape[2] < 3 or tags.get(262) == (1,) else 3
        assert picture.is_grey == (colours == 1)
        np.testing.assert_array_equal(picture.rgb_hwc[..., :colours], expected[..., :colours])
        if picture.alpha_hw is not None:
            np.testing.assert_array_equal(picture.alpha_hw, expected[..., -1])
        lost = shape[2] - colours - (picture.alpha_hw is not None)
        notes = [f"dropped: bands besides colours and alpha ({lost})"] if lost else []
        if is_float:
            notes.append("floating-point samples were read as 0 (black) to 1 (white), with 16 bits")
        assert sorted(picture.notes) == sorted(notes)


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize(("channels", "photometric"), [(1, 0), (1, 1), (2, 1), (3, 2), (4, 2)])
@pytest.mark.parametrize("is_planar", [False, True])
def test_samples_of_any_number_of_bits(
    tmp_path: Path, bits: int, channels: int, photometric: int, is_planar: bool
) -> None:
    """Packed without gaps but at the end of rows, the highest bit first."""
    shape = (5, 7, channels)
    values = np.random.default_rng(bits).integers(0, 1 << bits, shape)
    planes = np.moveaxis(values, 2, 0) if is_planar else values[None]
    as_bits = planes.reshape(-1, 5, shape[1] * shape[2] // len(planes))[..., None]
    as_bits = as_bits >> np.arange(bits - 1, -1, -1) & 1
    rows = np.packbits(as_bits.reshape(*as_bits.shape[:2], -1), axis=2)
    tags: Tags = {
        258: (bits,) * channels,
        262: (photometric,),
        273: tuple(8 + plane * rows[0].nbytes for plane in range(len(planes))),
        279: (rows[0].nbytes,) * len(planes),
        284: (1 + is_planar,),
        "packed": rows.tobytes(),
    }
    if channels in (2, 4):
        tags[338] = (2,)
    # 16 bits have an order of bytes; the others are a stream of bits.
    data = tiff((np.zeros(shape, np.uint8), tags), order=">")
    picture = seen(written(tmp_path / "a.tif", data))
    full = 255 if bits <= 8 else 65535
    expected = np.rint(values / ((1 << bits) - 1) * full)
    expected = full - expected if photometric == 0 else expected
    colours = expected[..., :3] if channels >= 3 else expected[..., :1].repeat(3, axis=2)
    np.testing.assert_array_equal(picture.rgb_hwc, colours)
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha_hw, expected[..., -1])


def test_odd_bits_with_a_predictor_are_named(tmp_path: Path) -> None:
    tags: Tags = {258: (12,), 317: (2,), "packed": bytes(40 * 20)}
    path = written(tmp_path / "a.tif", tiff((FULL[..., :1], tags)))
    with pytest.raises(ImageReadError, match="samples of 12 bits are stored as differences"):
        decode(path)


@pytest.mark.parametrize(("photometric", "name"), [(9, "ICC Lab, 3 channels of 8"), (99, "99, 3")])
def test_kinds_that_are_not_read_are_named(tmp_path: Path, photometric: int, name: str) -> None:
    path = written(tmp_path / "a.tif", tiff((FULL, {262: (photometric,)})))
    with pytest.raises(ImageReadError, match=rf"^a\.tif: is TIFF of an unsupported kind.*{name}"):
        decode(path)


def test_white_is_zero_of_halves_loses_nothing(tmp_path: Path) -> None:
    samples = noise((4, 5, 1), np.float16)
    path = written(tmp_path / "a.tif", tiff((samples, {339: (3,), 262: (0,)})))
    expected = np.rint((1 - samples.astype(np.float64)) * 65535)
    np.testing.assert_array_equal(seen(path).rgb_hwc[..., :1], expected)


@pytest.mark.parametrize("value", [-0.01, 1.5, np.nan, np.inf])
def test_numbers_beyond_black_and_white_are_refused(tmp_path: Path, value: float) -> None:
    samples = noise((4, 5, 3), np.float32)
    samples[1, 2, 1] = value
    path = written(tmp_path / "a.tif", tiff((samples, {339: (3,) * 3})))
    words = "NaN" if np.isnan(value) else "only those from 0 .* to 1"
    with pytest.raises(ImageReadError, match=rf"^a\.tif: .*{words}.* convert it"):
        decode(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff_of_both_orders(tmp_path: Path, order: Order) -> None:
    tags = {34675: SRGB, 282: (300,), 283: (150,), 296: (2,), 271: (1,)}
    path = written(tmp_path / "a.tif", tiff((FULL, tags), (SMALL, {}), order=order, big=True))
    picture = seen(path)
    np.testing.assert_array_equal(picture.rgb_hwc, FULL)
    np.testing.assert_array_equal(picture.more[0].rgb_hwc, SMALL)
    assert picture.icc_profile == SRGB
    assert picture.dpi == (300.0, 150.0)
    assert picture.more[0].icc_profile is None


def test_white_is_zero_and_alpha_that_colours_are_multiplied_with(tmp_path: Path) -> None:
    samples = np.array([[[0, 65535], [1000, 2000], [0, 0]]], np.uint16)
    path = written(tmp_path / "a.tif", tiff((samples, {262: (0,), 338: (2,)})))
    assert seen(path).rgb_hwc[0, :, 0].tolist() == [65535, 64535, 65535]
    written(path, tiff((samples, {338: (1,)})))
    assert seen(path).rgb_hwc[0, :, 0].tolist() == [0, round(1000 / 2000 * 65535), 0]
    assert seen(path).alpha_hw.tolist() == [[65535, 2000, 0]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_samples_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    samples = noise((6, 8, 3), np.uint16)
    tags = {274: (orientation,), 282: (300,), 283: (150,), 296: (2,)}
    picture = seen(written(tmp_path / "a.tif", tiff((samples, tags))))
    path = tmp_path / "b.tif"
    Image.fromarray((samples >> 8).astype(np.uint8)).save(path, tiffinfo={274: orientation})
    with Image.open(path) as image:
        image.load()
        np.testing.assert_array_equal(picture.rgb_hwc >> 8, np.asarray(image))
    assert picture.dpi == ((300.0, 150.0) if orientation < 5 else (150.0, 300.0))


def test_metadata_of_samples_that_pillow_does_not_read(tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2020:01:02 03:04:05"
    Image.new("RGB", (3, 2)).save(source, exif=exif.tobytes(), icc_profile=SRGB, dpi=(300, 150))
    data = bytearray(source.read_bytes())
    with Image.open(source) as image:
        bits = image.tag_v2[258]  # type: ignore[attr-defined]
    assert bits == (8, 8, 8)
    # A fourth to tenth channel: width 3, so 90 bytes where 18 were.
    at = data.index(struct.pack("<HHI", 258, 3, 3))
    struct.pack_into("<HHIHH", data, at, 258, 3, 1, 8, 0)
    at = data.index(struct.pack("<HHI", 277, 3, 1))
    struct.pack_into("<HHIHH", data, at, 277, 3, 1, 10, 0)
    for tag, value in ((273, len(data)), (279, 60)):
        at = next(
            data.index(struct.pack("<HHI", tag, kind, 1))
            for kind in (3, 4)
            if struct.pack("<HHI", tag, kind, 1) in data
        )
        struct.pack_into("<HHII", data, at, tag, 4, 1, value)
    path = written(source, bytes(data) + bytes(range(60)))
    picture = seen(path)
    assert picture.rgb_hwc[0, :, 0].tolist() == [0, 10, 20]
    assert picture.icc_profile == SRGB
    assert picture.dpi == (300.0, 150.0)
    block = Image.Exif()
    block.load(picture.exif)
    assert block[Base.Make] == "Camera"
    assert block.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2020:01:02 03:04:05"


def test_webp_in_tiff(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    Image.fromarray(FULL).save(file, "WEBP", lossless=True)
    data = tiff((FULL, {259: (50001,), "packed": file.getvalue()}))
    picture = seen(written(tmp_path / "a.tif", data))
    np.testing.assert_array_equal(picture.rgb_hwc, FULL)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_samples_of_unknown_format_are_unsigned(tmp_path: Path, depth: Any) -> None:
    samples = noise((6, 8, 3), depth)
    path = written(tmp_path / "a.tif", tiff((samples, {339: (4, 4, 4)})))
    np.testing.assert_array_equal(seen(path).rgb_hwc, samples)


def test_a_format_that_does_not_exist(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", tiff((noise((6, 8, 3), np.uint8), {339: (9,)})))
    with pytest.raises(ImageReadError, match=r"its samples are of format 9, whose black and white"):
        decode(path)


@pytest.mark.parametrize("colours", [0, 16, 255])
def test_a_palette_that_is_too_short(tmp_path: Path, colours: int) -> None:
    """Pillow shows black in its place."""
    tags: Tags = {262: (3,), **({320: (9,) * 3 * colours} if colours else {})}
    path = written(tmp_path / "a.tif", tiff((noise((6, 8, 1), np.uint8), tags)))
    with pytest.raises(ImageReadError, match=r"is damaged \(its palette is too short\)"):
        decode(path)


@pytest.mark.parametrize(
    ("photometric", "depth", "kind"),
    [
        (3, np.uint16, "a palette, 1 channel of 16 bits"),
        (9, np.uint8, "ICC Lab, 3 channels of 8 bits"),
        (8, np.uint16, "CIE Lab, 3 channels of 16 bits"),
        (10, np.uint8, "ITU Lab, 3 channels of 8 bits"),
    ],
)
def test_colours_that_are_not_read_are_named(
    tmp_path: Path, photometric: int, depth: Any, kind: str
) -> None:
    samples = noise((6, 8, 1 if photometric == 3 else 3), depth)
    tags: Tags = {262: (photometric,), 320: (9,) * 3 * 256}
    path = written(tmp_path / "a.tif", tiff((samples, tags)))
    with pytest.raises(ImageReadError, match=rf"is TIFF of an unsupported kind \({kind}\)"):
        decode(path)


@pytest.mark.parametrize("what", ["short", "tiles", "segments", "lzw"])
def test_damage_is_said(tmp_path: Path, what: str) -> None:
    samples = noise((6, 8, 3), np.uint16)
    cases: dict[str, Tags] = {
        "short": {"packed": samples.tobytes()[:-9]},
        "tiles": {322: (0,), 323: (16,), 324: (8,), 325: (9,)},
        "segments": {278: (2,)},
        "lzw": {259: (5,), "packed": b"\x80\x0b\xff"},
    }
    path = written(tmp_path / "a.tif", tiff((samples, cases[what])))
    with pytest.raises(ImageReadError, match=r"^a\.tif: is damaged"):
        decode(path)


# --- what libvips wrote --------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits"])
@pytest.mark.parametrize("layout", ["strips", "tiles"])
@pytest.mark.parametrize(
    "kind", ["rgb-16", "grey-alpha-16", "rgb-float", "five", "cmyk-8", "cmyk-16"]
)
def test_files_of_another_program(tmp_path: Path, kind: str, layout: str, compression: str) -> None:
    pyvips = pytest.importorskip("pyvips", reason="needs pyvips-binary", exc_type=ImportError)
    shape, dtype = {
        "rgb-16": ((50, 70, 3), np.uint16),
        "grey-alpha-16": ((50, 70, 2), np.uint16),
        "rgb-float": ((50, 70, 3), np.float32),
        "five": ((50, 70, 5), np.uint8),
        "cmyk-8": ((50, 70, 4), np.uint8),
        "cmyk-16": ((50, 70, 4), np.uint16),
    }[kind]
    samples = noise(shape, dtype)
    image = pyvips.Image.new_from_array(samples)
    names = {"rgb-16": "rgb16", "grey-alpha-16": "grey16", "rgb-float": "scrgb", "five": "srgb"}
    image = image.copy(interpretation=names.get(kind, "cmyk"))
    options: dict[str, Any] = {"compression": compression}
    if compression in ("lzw", "deflate"):
        options["predictor"] = "float" if kind == "rgb-float" else "horizontal"
    if layout == "tiles":
        options |= {"tile": True, "tile_width": 32, "tile_height": 16}
    image.tiffsave(str(tmp_path / "a.tif"), **options)
    picture = seen(tmp_path / "a.tif")
    if kind.startswith("cmyk"):
        eight = samples if dtype == np.uint8 else ((samples.astype(np.uint32) + 128) // 257)
        inks = eight.astype(np.float64)
        expected = (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255
        assert np.abs(picture.rgb_hwc - expected).max() <= 2
        assert ("CMYK of 16 bits was reduced to 8 bits" in picture.notes) == (kind == "cmyk-16")
        return
    wanted = np.rint(samples.astype(np.float64) * 65535) if kind == "rgb-float" else samples
    colours = 1 if kind == "grey-alpha-16" else 3
    np.testing.assert_array_equal(picture.rgb_hwc[..., :colours], wanted[..., :colours])
    if kind == "grey-alpha-16":
        np.testing.assert_array_equal(picture.alpha_hw, samples[..., 1])
