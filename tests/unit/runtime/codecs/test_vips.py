"""libvips reads in strips the pixels that Pillow reads whole; what it cannot read is an error."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo

pyvips = pytest.importorskip("pyvips", reason="needs pyvips-binary", exc_type=ImportError)

from runtime.codecs import vips as vips_module
from runtime.codecs.decode import decode
from runtime.codecs.vips import VipsReader
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.strips import stacked

ENOUGH = 1 << 30
FIELDS = (
    *("is_grey", "icc_profile", "exif", "dpi", "xmp", "text", "source_format", "notes"),
    *("iptc", "places", "source_size_hw"),
)
noise = np.random.default_rng(0).integers(0, 256, (150, 90, 3), np.uint8)
deep = np.random.default_rng(1).integers(0, 65536, (150, 90, 3), np.uint16)


def read_all(reader: VipsReader, *, rows: int = 31, context: int = 9) -> Picture:
    """The picture in overlapping strips, put together."""
    height = reader.header.size_hw[0]
    whole: Picture | None = None
    for top in range(0, height, rows):
        first = max(0, top - context)
        part = reader.rows(first, min(height, top + rows + context))
        kept = Picture(rgb_hwc=part.rgb_hwc[top - first :][:rows].copy(), is_grey=part.is_grey)
        whole = kept if whole is None else stacked(whole, kept)
    assert whole is not None
    return whole


def pillow(mode: str = "RGB", **options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(noise).convert(mode).save(path, **options)


def vips(samples: Any, **options: Any) -> Callable[[Path], None]:
    return lambda path: pyvips.Image.new_from_array(samples).write_to_file(str(path), **options)


def with_metadata(path: Path) -> None:
    exif, words = Image.Exif(), PngInfo()
    exif[Base.Make] = "Camera"
    words.add_text("Title", "Größe")
    options: Any = {"pnginfo": words} if path.suffix == ".png" else {}
    Image.fromarray(noise).save(path, exif=exif, dpi=(300, 150), **options)


def metadata_behind_the_samples(path: Path) -> None:
    """PNG allows it."""
    with_metadata(path)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    stop = start + 12 + struct.unpack_from(">I", data, start)[0]
    end = data.index(b"IEND") - 4
    path.write_bytes(data[:start] + data[stop:end] + data[start:stop] + data[end:])


def with_reduced_copy(first: bool) -> Callable[[Path], None]:
    """A page and a small one that says it is a copy, before it or behind it."""

    def write(path: Path) -> None:
        page, copy = Image.fromarray(noise), Image.new("RGB", (9, 15), (255, 0, 255))
        copy.encoderinfo = {"tiffinfo": {254: 1}}
        if first:
            page.encoderinfo = {"tiffinfo": {254: 0}}
            copy.save(path, save_all=True, append_images=[page], tiffinfo={254: 1})
            return
        page.save(path, save_all=True, append_images=[copy])

    return write


READ = {
    "reduced-behind.tiff": with_reduced_copy(first=False),
    "reduced-before.tiff": with_reduced_copy(first=True),
    "rgb.png": pillow(),
    "grey.png": pillow("L"),
    "1-bit.png": pillow("1"),
    "palette.png": pillow("P"),
    "rgb-16.png": vips(deep),
    "grey-16.png": vips(deep[..., :1]),
    "interlaced.png": vips(noise, interlace=True),
    "rgb.jpg": pillow(quality=90),
    "4-2-0.jpg": pillow(quality=75, subsampling=2),
    "grey.jpg": pillow("L"),
    "progressive.jpg": pillow(progressive=True),
    "rgb.tiff": pillow(),
    "lzw.tiff": pillow(compression="tiff_lzw"),
    "fax.tiff": pillow("1", compression="group4"),
    "palette.tiff": pillow("P"),
    "tiles.tiff": vips(noise, tile=True, tile_width=64, tile_height=48),
    "big.tiff": vips(deep, bigtiff=True, compression="deflate", predictor="horizontal"),
    "wrong-suffix.png": pillow(format="TIFF"),
    "metadata.png": with_metadata,
    "metadata.jpg": with_metadata,
    "metadata.tiff": with_metadata,
    "late-metadata.png": metadata_behind_the_samples,
}


@pytest.mark.parametrize("name", READ)
def test_strips_are_the_whole_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    READ[name](path)
    expected, reader = decode(path), VipsReader(path, memory_bytes=ENOUGH)
    assert reader.header.size_hw == expected.size_hw
    np.testing.assert_array_equal(read_all(reader).rgb_hwc, expected.rgb_hwc)
    assert reader.header.rgb_hwc.dtype == expected.rgb_hwc.dtype
    for field in FIELDS:
        assert getattr(reader.header, field) == getattr(expected, field), field


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path, exif=exif, dpi=(300, 150))
    expected, reader = decode(path), VipsReader(path, memory_bytes=ENOUGH)
    np.testing.assert_array_equal(read_all(reader).rgb_hwc, expected.rgb_hwc)
    assert reader.header.dpi == expected.dpi
    assert expected.dpi == pytest.approx((150, 300) if orientation >= 5 else (300, 150), rel=1e-3)


@pytest.mark.parametrize(
    "name", ["rgb.png", "rgb.jpg", "lzw.tiff", "rgb.tiff", "big.tiff", "tiles.tiff", "grey-16.png"]
)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_truncated(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    READ[name](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageReadError, match=name):
        read_all(VipsReader(path, memory_bytes=ENOUGH))


@pytest.mark.parametrize("name", ["rgb.png", "big.tiff"])
def test_damaged_in_the_middle(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    READ[name](path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(ImageReadError, match=name):
        read_all(VipsReader(path, memory_bytes=ENOUGH))


def bomb(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
            for name, content in chunks
        )
    )


def pages(path: Path) -> None:
    page = Image.fromarray(noise)
    page.save(path, save_all=True, append_images=[page])


REFUSED = {
    "cmyk.jpg": (pillow("CMYK"), "cmyk.*convert it to 8- or 16-bit grey or RGB"),
    "lab.tiff": (pillow("LAB"), "not read in strips: export it again, as grey or RGB"),
    "float.tiff": (vips(noise.astype(np.float32)), "convert it to grey or RGB"),
    "alpha.png": (pillow("RGBA"), "alpha are not supported in strips: save it without alpha"),
    "pages.tiff": (pages, "has 2 pages.*save each as a file"),
    "animation.png": (pages, "is an animation"),
    "a.webp": (pillow(), "not one of PNG, JPEG, TIFF.*convert it"),
    "bomb.png": (bomb, "60000 x 60000 pixels in .* bytes, which no picture has"),
    "empty.png": (lambda path: path.write_bytes(b""), "the file is empty"),
    "gone.png": (lambda path: None, "does not exist"),
    "folder.png": (lambda path: path.mkdir(), "not a regular file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(ImageReadError, match=rf"(?s)^{name}: .*{message}"):
        VipsReader(tmp_path / name, memory_bytes=ENOUGH)


@pytest.mark.parametrize("name", ["interlaced.png", "progressive.jpg"])
def test_what_must_be_held_whole_has_to_fit(tmp_path: Path, name: str) -> None:
    READ[name](tmp_path / name)
    with pytest.raises(ImageReadError, match="progressive or interlaced.*--memory"):
        VipsReader(tmp_path / name, memory_bytes=100_000)


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    READ["rgb.png"](tmp_path / "a.png")
    monkeypatch.setattr(vips_module, "MAX_PIXELS", 1000)
    with pytest.raises(ImageReadError, match=r"90 x 150 pixels; at most 1,000 .*cut it"):
        VipsReader(tmp_path / "a.png", memory_bytes=ENOUGH)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_not_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.png")
    pillow()(path)
    samples = read_all(VipsReader(path, memory_bytes=ENOUGH)).rgb_hwc
    assert np.array_equal(samples, noise)


def test_without_pyvips_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    READ["rgb.png"](tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "pyvips", None)
    monkeypatch.setattr("runtime.system.package.find_spec", lambda name: None)
    with pytest.raises(ImageReadError, match=r"^a\.png: .*pip install 'dggn\[large\]'"):
        VipsReader(tmp_path / "a.png", memory_bytes=ENOUGH)


@pytest.mark.parametrize("name", ["ü 図.png", "a[page=1].png", "tail .png"])
def test_names(tmp_path: Path, name: str) -> None:
    READ["rgb.png"](tmp_path / name)
    reader = VipsReader(tmp_path / name, memory_bytes=ENOUGH)
    np.testing.assert_array_equal(read_all(reader).rgb_hwc, noise)


def test_damaged_tags_do_not_warn(tmp_path: Path) -> None:
    READ["metadata.tiff"](tmp_path / "a.tiff")
    data = bytearray((tmp_path / "a.tiff").read_bytes())
    entry = data.index(struct.pack("<HHI", Base.Make, 2, 7))
    data[entry + 8 : entry + 12] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.tiff").write_bytes(data)
    # Pillow warns of it; here that would be an error with other words.
    with pytest.raises(ImageReadError, match="unknown pixel mode"):
        VipsReader(tmp_path / "a.tiff", memory_bytes=ENOUGH)


def test_rows_go_down_only(tmp_path: Path) -> None:
    READ["rgb.png"](tmp_path / "a.png")
    reader = VipsReader(tmp_path / "a.png", memory_bytes=ENOUGH)
    reader.rows(20, 30)
    with pytest.raises(AssertionError, match="top to bottom"):
        reader.rows(10, 40)


def test_begun_again_it_reads_the_same(tmp_path: Path) -> None:
    pillow()(tmp_path / "a.png")
    reader = VipsReader(tmp_path / "a.png", memory_bytes=ENOUGH)
    first = read_all(reader)
    assert np.array_equal(read_all(reader.again()).rgb_hwc, first.rgb_hwc)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pillow()(path)
    reader = VipsReader(path, memory_bytes=ENOUGH)
    reader.rows(0, 60)
    os.utime(path, ns=(1, 1))
    reader.rows(60, 149)
    with pytest.raises(ImageReadError, match=r"^a\.png: the file changed while it was read"):
        reader.rows(140, 150)


def test_a_file_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pillow()(path)
    reader = VipsReader(path, memory_bytes=ENOUGH)
    path.unlink()
    with pytest.raises(ImageReadError, match="the file changed while it was read"):
        reader.rows(0, 150)
