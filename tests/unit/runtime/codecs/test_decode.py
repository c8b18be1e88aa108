"""Files and images of every kind come out upright, in their right colours."""

from __future__ import annotations

import io
import itertools
import os
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from runtime.codecs import decode as decode_module
from runtime.codecs.decode import decode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.pil import picture_from_image
from runtime.errors import ImageReadError

RGB = [[(200, 30, 40), (20, 180, 60)], [(30, 60, 220), (128, 128, 128)]]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def blocks(colours: Sequence[Any], side: int = 16) -> NDArray[np.uint8]:
    """Each value as a block, so that lossy formats keep it; (H, W) or (H, W, C)."""
    return np.array(colours, np.uint8).repeat(side, axis=0).repeat(side, axis=1)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- modes and formats -------------------------------------------------------------------

RGB_CASES = [
    ("a.png", "RGB", {}, 0),
    ("a.jpg", "RGB", {"quality": 100, "subsampling": 0}, 2),
    ("a.webp", "RGB", {"lossless": True}, 0),
    ("a.tif", "RGB", {}, 0),
    ("a.tif", "RGB", {"compression": "tiff_lzw"}, 0),
    ("a.tif", "RGB", {"compression": "jpeg", "quality": 100}, 4),
    ("a.tif", "LAB", {}, 10),  # 8 bits of Lab are coarse
    ("a.bmp", "RGB", {}, 0),
    ("a.png", "P", {}, 0),
    ("a.gif", "P", {}, 0),
    ("a.bmp", "P", {}, 0),
    ("a.tif", "P", {}, 0),
    pytest.param(
        *("a.avif", "RGB", {"quality": 100, "subsampling": "4:4:4"}, 2),
        marks=pytest.mark.skipif(not HAS_AVIF, reason="Pillow without AVIF"),
    ),
]


@pytest.mark.parametrize(("name", "mode", "options", "tolerance"), RGB_CASES)
def test_colours(
    tmp_path: Path, name: str, mode: str, options: dict[str, Any], tolerance: int
) -> None:
    image = Image.fromarray(blocks(RGB))
    if mode == "P":
        image = image.quantize(4)
    elif mode == "LAB":
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        image = converted
    else:
        image = image.convert(mode)
    picture = decode(saved(tmp_path / name, image, **options))
    assert picture.rgb_hwc.dtype == np.uint8
    assert not picture.is_grey
    assert picture.alpha_hw is None
    difference = np.abs(picture.rgb_hwc.astype(int) - blocks(RGB))
    assert difference.max() <= tolerance


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp"])
@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_stays_grey(tmp_path: Path, name: str, mode: str) -> None:
    values = blocks([[0, 255], [255, 0]]) if mode == "1" else blocks([[3, 250], [90, 130]])
    image = Image.fromarray(values).convert(mode)
    options = {"quality": 100} if name == "a.jpg" else {}
    picture = decode(saved(tmp_path / name, image.convert("L") if options else image, **options))
    assert picture.is_grey
    assert np.abs(picture.rgb_hwc.astype(int) - values[..., None]).max() <= (1 if options else 0)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_apart(tmp_path: Path, name: str, mode: str) -> None:
    alpha = blocks([[255, 200], [100, 7]])
    image = Image.fromarray(blocks(RGB)).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    expected = np.asarray(image.convert("RGBA"))
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    picture = decode(saved(tmp_path / name, image, **options))
    assert picture.alpha_hw is not None
    assert np.array_equal(picture.alpha_hw, alpha)
    assert np.array_equal(picture.rgb_hwc, expected[..., :3])
    assert picture.is_grey == (mode == "LA" and name != "a.webp")  # WebP knows no grey


def test_opaque_alpha_is_still_alpha(tmp_path: Path) -> None:
    picture = decode(saved(tmp_path / "a.png", Image.new("RGBA", (3, 2), (1, 2, 3, 255))))
    assert picture.alpha_hw is not None
    assert (picture.alpha_hw == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_index_that_stands_for_transparent(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([9, 8, 7, 200, 30, 40, 20, 180, 60])
    picture = decode(saved(tmp_path / name, image, transparency=1))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[255, 0, 255]]
    assert picture.rgb_hwc[0, [0, 2]].tolist() == [[9, 8, 7], [20, 180, 60]]


def test_palette_with_graded_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([9, 8, 7, 200, 30, 40])
    picture = decode(saved(tmp_path / "a.png", image, transparency=bytes([77, 200])))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == [[77, 200]]
    assert picture.rgb_hwc.tolist() == [[[9, 8, 7], [200, 30, 40]]]


# --- orientation -------------------------------------------------------------------------

# What the viewer shall see of rows 1 2 3 and 4 5 6, by EXIF 2.32, 4.6.4 A.
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def oriented(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 100}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_orientation_is_applied_once(
    tmp_path: Path, name: str, options: dict[str, Any], orientation: int
) -> None:
    stored = blocks([[40, 80, 120], [160, 200, 240]], 16)
    image = Image.fromarray(stored)
    picture = decode(
        saved(tmp_path / name, image, exif=oriented(orientation), dpi=(300, 150), **options)
    )
    shown = picture.rgb_hwc[8::16, 8::16, 0].astype(int)
    assert picture.size_hw == tuple(16 * size for size in shown.shape)
    assert np.abs(shown - 40 * np.array(UPRIGHT[orientation])).max() <= 1
    assert picture.exif is None  # orientation was all there was
    if name == "a.jpg":
        assert picture.dpi == ((150, 300) if orientation >= 5 else (300, 150))


def test_alpha_turns_with_the_picture(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    image.putalpha(image.copy())
    picture = decode(saved(tmp_path / "a.png", image, exif=oriented(6)))
    assert picture.alpha_hw is not None
    assert picture.alpha_hw.tolist() == UPRIGHT[6]


def test_16_bits_turn_too(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint16))
    picture = decode(saved(tmp_path / "a.png", image, exif=oriented(8)))
    assert picture.rgb_hwc[..., 0].tolist() == UPRIGHT[8]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientation_is_ignored(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    picture = decode(saved(tmp_path / "a.png", image, exif=oriented(orientation)))
    assert picture.rgb_hwc[..., 0].tolist() == UPRIGHT[1]


# --- metadata ----------------------------------------------------------------------------


def photo_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Make] = "Maker"
    exif[Base.Orientation] = 6
    exif[Base.ImageWidth] = 999
    exif[IFD.Exif] = {
        Base.DateTimeOriginal: "2024:05:06 07:08:09",
        Base.MakerNote: b"private",
        Base.ExifImageWidth: 3,
        Base.ExifImageHeight: 2,
    }
    exif[IFD.GPSInfo] = {1: "N", 2: (47.0, 30.0, 0.0)}
    return exif


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_is_kept_without_what_describes_the_file(tmp_path: Path, name: str) -> None:
    exif = photo_exif()
    if name == "a.tif":
        del exif[Base.ImageWidth]
    block = exif.tobytes()
    picture = decode(saved(tmp_path / name, Image.new("RGB", (3, 2)), exif=block))
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[Base.Make] == "Maker"
    assert kept.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert kept.get_ifd(IFD.Exif)[Base.MakerNote] == b"private"
    assert kept.get_ifd(IFD.GPSInfo)[2] == (47.0, 30.0, 0.0)
    assert set(kept) == {Base.Make, IFD.Exif, IFD.GPSInfo}


def test_thumbnail_is_dropped(tmp_path: Path) -> None:
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "JPEG")
    ifd0 = struct.pack("<HHHIIHHII", 2, 271, 2, 2, 0x41, 274, 3, 1, 6)
    ifd1 = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 68, 514, 4, 1, len(small.getvalue()), 0)
    block = b"II*\0" + struct.pack("<I", 8) + ifd0 + struct.pack("<I", 38) + ifd1
    exif = b"Exif\0\0" + block + small.getvalue()
    picture = decode(saved(tmp_path / "a.jpg", Image.new("RGB", (3, 2)), exif=exif))
    assert picture.size_hw == (3, 2)
    assert picture.exif is not None
    assert small.getvalue() not in picture.exif
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == {Base.Make: "A"}
    assert kept.get_ifd(IFD.IFD1) == {}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize(
    "damaged",
    [
        b"nonsense, and long enough",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\x30\0" + b"\xff" * 40,
        b"MM\0*\0\0\0\x08\0\x02\x01\x12\0\x02\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path, name: str, damaged: bytes) -> None:
    image = Image.new("RGB", (3, 2), (9, 8, 7))
    picture = decode(saved(tmp_path / name, image, exif=b"Exif\0\0" + damaged))
    assert picture.size_hw == (2, 3)
    assert picture.exif is None


def test_unreadable_exif_is_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)), exif=b"Exif\0\0nonsense, nonsense")
    assert decode(path).notes == ["the EXIF block is damaged and was left out"]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_profile_is_kept_byte_for_byte(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, Image.new("RGB", (3, 2)), icc_profile=SRGB)
    assert decode(path).icc_profile == SRGB


@pytest.mark.parametrize(("name", "tolerance"), [("a.jpg", 0), ("a.tif", 0), ("a.png", 0.02)])
def test_resolution_is_kept(tmp_path: Path, name: str, tolerance: float) -> None:
    picture = decode(saved(tmp_path / name, Image.new("RGB", (3, 2)), dpi=(300, 150)))
    assert picture.dpi == pytest.approx((300, 150), abs=tolerance or 1e-6)


def test_tiff_without_a_resolution_has_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.new("RGB", (3, 2)))
    assert decode(path).dpi is None
    with Image.open(path) as image:
        assert picture_from_image(image).dpi is None


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 72), "x", 3, (72,), (1e9, 1e9)])
def test_senseless_resolution_is_dropped(dpi: Any) -> None:
    image = Image.new("L", (3, 2))
    image.info["dpi"] = dpi
    assert picture_from_image(image).dpi is None


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_several_frames(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    path = tmp_path / name
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    picture = decode(path)
    assert picture.rgb_hwc[0, 0].tolist() == [255, 0, 0]
    assert [page.rgb_hwc[0, 0].tolist() for page in picture.more] == [[0, 255, 0], [0, 0, 255]]
    assert picture.notes == []


def test_format_is_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "wrong.jpg"
    Image.new("RGB", (3, 2), (9, 8, 7)).save(path, "PNG")
    picture = decode(path)
    assert picture.source_format == "PNG"
    assert picture.rgb_hwc[0, 0].tolist() == [9, 8, 7]


# --- files that cannot be read -----------------------------------------------------------


def encoded(name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, name, **options)
    return buffer.getvalue()


def png_declared(width: int, height: int) -> bytes:
    """A 64 x 64 PNG that says it has another size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rest = encoded("PNG")[33:]
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + rest


BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<!DOCTYPE html><title>404</title>",
    "zeros": lambda: bytes(4096),
    "png-signature-only": lambda: b"\x89PNG\r\n\x1a\n",
    **{
        f"{name}-half": lambda name=name: encoded(name)[: len(encoded(name)) // 2]  # type: ignore[misc]
        for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
    },
    "png-wrong-checksum": lambda: encoded("PNG").replace(b"IDAT", b"IDAU"),
    "png-altered": lambda: encoded("PNG")[:99] + b"\xff" + encoded("PNG")[100:],
    "bomb": lambda: png_declared(60_000, 60_000),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 3 2\n",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ImageReadError, match=r"^photo\.png: \w") as caught:
        decode(written(tmp_path / "photo.png", BAD[kind]()))
    assert len(str(caught.value)) < 250
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "file is empty"),
        ("text", "a web page, perhaps an error of a download"),
        ("zeros", "not a picture that can be read: expected an intact PNG, JPEG"),
        ("JPEG-half", "damaged .*truncated"),
        ("bomb", "at most 178,956,970 are read"),
    ],
)
def test_reason_is_stated(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(ImageReadError, match=words):
        decode(written(tmp_path / "photo.png", BAD[kind]()))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"gone\.png: is not there any more"):
        decode(tmp_path / "gone.png")


def test_file_that_vanishes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))

    def vanish(path: Path) -> bytes:
        path.unlink()
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "read_bytes", vanish)
    with pytest.raises(ImageReadError, match=r"^a\.png: cannot be read: No such file"):
        decode(path)


def test_folder_named_like_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.mkdir()
    with pytest.raises(ImageReadError, match="not a regular file"):
        decode(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    os.mkfifo(path)
    with pytest.raises(ImageReadError, match="not a regular file"):
        decode(path)


def test_file_beyond_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))
    monkeypatch.setattr(decode_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(ImageReadError, match="at most 10 are read"):
        decode(path)


def test_bound_holds_where_pillows_was_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 5)
    with pytest.raises(ImageReadError, match="3 x 2 pixels; at most 5"):
        decode(path)


def test_large_but_readable_does_not_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2), 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
    assert decode(path).size_hw == (2, 3)


def test_threads_leave_the_warning_filters_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (64, 64)))
    original = Image.open
    sleeps = itertools.cycle([0.001, 0.007, 0.003])

    def slow(*args: Any, **options: Any) -> Image.Image:
        time.sleep(next(sleeps))  # so that threads would leave in another order than they came
        return original(*args, **options)

    monkeypatch.setattr(Image, "open", slow)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(decode, [path] * 24))) == 24
    assert list(warnings.filters) == before


def test_image_is_not_changed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (3, 2)), exif=photo_exif())
    with Image.open(path) as image:
        picture = picture_from_image(image)
        assert picture.size_hw == (3, 2)
        assert image.size == (3, 2)
        assert image.getexif()[Base.Orientation] == 6
