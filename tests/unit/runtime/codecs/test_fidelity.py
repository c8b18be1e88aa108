"""Kind x format x metadata: written by the runtime, read back by libvips, which shares no code."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

pyvips = pytest.importorskip("pyvips", reason="needs pyvips-binary", exc_type=ImportError)

from runtime.codecs import limits, tiff
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.output import OutputSettings
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.stated_colours import ADOBE_RGB, rgb_profile_of

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = SRGB.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
"""Not sRGB: every picture shows differently with it."""

GREY = ADOBE_RGB.profile(is_grey=True)

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="d" '
    'tiff:Orientation="6" tiff:ImageWidth="30"><dc:title>Größe</dc:title>'
    "<tiff:ImageLength>20</tiff:ImageLength></rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()

FORMATS = [".png", ".jpg", ".webp", ".tiff", ".gif", *([".avif"] if HAS_AVIF else [])]
KINDS = [
    "grey",
    "rgb",
    "grey-alpha",
    "rgb-alpha",
    "grey-16",
    "rgb-16",
    "grey-alpha-16",
    "rgb-alpha-16",
]
NO_PROFILE = (".gif",)
NO_EXIF = (".gif",)
# Metadata that libvips does not report, although the file has it.
UNTOLD_DPI = (".webp", ".avif", ".gif")


def samples(kind: str) -> Picture:
    rows, columns = np.mgrid[0:20, 0:30]
    full = 65535 if "16" in kind else 255
    ramps = np.stack([rows / 19, columns / 29, 1 - rows / 25, 0.4 + columns / 60], axis=2)
    values = np.rint(ramps * full).astype(np.uint16 if "16" in kind else np.uint8)
    grey = "grey" in kind
    return Picture(
        rgb_hwc=values[..., :1].repeat(3, axis=2) if grey else values[..., :3],
        alpha_hw=values[..., 3] if "alpha" in kind else None,
        is_grey=grey,
    )


def with_everything(kind: str) -> Picture:
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2020:01:02 03:04:05"
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    return replace(
        samples(kind),
        icc_profile=GREY if kind.startswith("grey") else WIDE,
        exif=exif.tobytes(),
        xmp=XMP,
        dpi=(300.0, 150.0),
        text={"Title": "Größe", "Comment": "plain"},
    )


def vips(path: Path, **options: Any) -> Any:
    return pyvips.Image.new_from_file(str(path), **options)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_samples_and_metadata(tmp_path: Path, kind: str, suffix: str) -> None:
    picture, path = with_everything(kind), tmp_path / f"a{suffix}"
    notes = encode(picture, path, OutputSettings(quality=100))
    image = vips(path)
    fields = image.get_fields()

    deep = "16" in kind and suffix in (".png", ".tiff")
    assert image.format == ("ushort" if deep else "uchar")
    has_alpha = "alpha" in kind and suffix != ".jpg"
    assert image.hasalpha() == has_alpha
    if suffix in (".png", ".tiff", ".jpg") and (kind, suffix) != ("grey-alpha-16", ".tiff"):
        assert image.bands == (1 if "grey" in kind else 3) + has_alpha
    check_samples(picture, image, suffix, deep=deep)

    if picture.icc_profile and suffix not in NO_PROFILE:
        found = bytes(image.get("icc-profile-data"))
        if "grey" in kind and image.bands > 2:  # the format or its writer has no grey
            assert found[16:20] == b"RGB "
            assert any("equivalent one for RGB" in note for note in notes)
        else:
            assert found == picture.icc_profile
    else:
        assert "icc-profile-data" not in fields
    if suffix not in NO_EXIF:
        assert suffix == ".tiff" or "Camera" in image.get("exif-ifd0-Make")
        packet = bytes(image.get("xmp-data"))
        assert "Größe".encode() in packet
        assert b'tiff:Orientation="1"' in packet
        assert b'tiff:ImageWidth="30"' in packet
        assert b"<tiff:ImageLength>20<" in packet
    assert image.get("orientation") == 1 if "orientation" in fields else True
    if suffix not in UNTOLD_DPI:
        assert (image.xres * 25.4, image.yres * 25.4) == pytest.approx((300, 150), rel=1e-3)
    elif suffix != ".gif":
        assert image.get("exif-ifd0-XResolution").startswith("300")
    if suffix == ".png":
        texts = {
            name[len("png-comment-0-") :]: image.get(name)
            for name in fields
            if "png-comment" in name
        }
        assert set(texts.values()) >= {"plain"}
    elif suffix in (".jpg", ".gif"):
        assert any("text was dropped (Title)" in note for note in notes)
        if suffix == ".gif":
            assert b"plain" in path.read_bytes()


def check_samples(picture: Picture, image: Any, suffix: str, *, deep: bool) -> None:
    full = float(np.iinfo(picture.rgb_hwc.dtype).max)
    expected = picture.rgb_hwc / full
    bands = 4 if picture.alpha_hw is not None else 3
    if picture.alpha_hw is not None:
        alpha = picture.alpha_hw / full
        if suffix == ".jpg":
            expected, bands = expected * alpha[..., None] + 1 - alpha[..., None], 3
        elif suffix == ".gif":
            assert set(np.unique(image.numpy()[..., -1])) <= {0, 255}
            bands = 3
        else:
            expected = np.dstack((expected, alpha))
    found = image.numpy().astype(float) / (65535 if deep else 255)
    found = found.reshape(*found.shape[:2], -1)
    if found.shape[2] < 3:
        found = np.concatenate((found[..., :1].repeat(3, axis=2), found[..., 1:]), axis=2)
    if suffix == ".gif" and picture.icc_profile:
        return  # converted to sRGB
    if suffix == ".gif" and picture.alpha_hw is not None:
        seen = found[..., 3] > 0.5
        assert np.abs(found[seen][:, :3] - expected[seen][:, :3]).mean() < 0.06
        return
    tolerance = {".jpg": 0.03, ".gif": 0.16, ".avif": 0.03}.get(
        suffix, 0.5001 / (65535 if deep else 255)
    )
    assert np.abs(found[..., :bands] - expected[..., :bands]).max() <= tolerance


@pytest.mark.parametrize("kind", ["rgb", "rgb-alpha", "rgb-16", "grey-alpha-16"])
@pytest.mark.parametrize("big_tiff", [False, True])
def test_a_second_reading_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, big_tiff: bool
) -> None:
    """From file to file without a network, only what the format cannot hold changes."""
    if big_tiff:
        monkeypatch.setattr(tiff, "BIG_BYTES", 0)
    for suffix in (".tiff",) if big_tiff else (".png", ".tiff"):
        first = with_everything(kind)
        encode(first, tmp_path / f"a{suffix}", OutputSettings())
        once = decode(tmp_path / f"a{suffix}")
        assert not any("EXIF" in note for note in once.notes)
        assert np.array_equal(once.rgb_hwc, first.rgb_hwc)
        assert once.dpi == pytest.approx(first.dpi, rel=1e-3)
        if suffix == ".tiff" and kind == "grey-alpha-16":  # written as RGB
            assert once.icc_profile == rgb_profile_of(GREY)
        else:
            assert once.icc_profile == first.icc_profile
        assert b"Gr\xc3\xb6\xc3\x9fe" in (once.xmp or b"")
        assert once.text == (first.text if suffix == ".png" else {})
        block = Image.Exif()
        block.load(once.exif or b"")
        assert block[Base.Make] == "Camera"
        assert block.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2020:01:02 03:04:05"
        assert block.get_ifd(IFD.GPSInfo)[1] == "N"


def frames(kind: str, count: int = 4) -> Picture:
    def frame(number: int) -> Picture:
        picture = samples(kind)
        rgb = picture.rgb_hwc.copy()
        rgb[2:8, 3 * number : 3 * number + 4] = 255 if number % 2 else 0
        return replace(picture, rgb_hwc=rgb, duration_ms=40.0 + 30 * number, plays=3)

    first, *more = (frame(number) for number in range(count))
    return replace(first, more=tuple(more))


@pytest.mark.parametrize("kind", ["rgb", "rgb-alpha", "grey"])
@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_keep_their_times(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    encode(frames(kind), path, OutputSettings(quality=100))
    image = vips(path, n=-1)
    assert image.get("n-pages") == 4
    assert image.get("delay") == [40, 70, 100, 130]
    # libvips counts plays of a GIF, not repetitions, as browsers do.
    assert image.get("loop") in (2, 3)
    stack = image.numpy().reshape(4, 20, 30, -1).astype(int)
    for number, frame in enumerate((frames(kind), *frames(kind).more)):
        difference = np.abs(stack[number, ..., :3] - frame.rgb_hwc)
        if frame.alpha_hw is not None:
            difference = difference[frame.alpha_hw >= 128]
        assert difference.mean() < (8 if suffix == ".gif" else 0.6)


def pages() -> Iterator[Picture]:
    for kind in KINDS:
        yield replace(with_everything(kind), rgb_hwc=samples(kind).rgb_hwc)


def test_pages_of_every_kind_in_one_tiff(tmp_path: Path) -> None:
    first, *more = pages()
    path = tmp_path / "a.tif"
    encode(replace(first, more=tuple(more)), path, OutputSettings())
    for number, page in enumerate(pages()):
        image = vips(path, page=number)
        assert image.get("n-pages") == len(KINDS)
        check_samples(page, image, ".tiff", deep=page.rgb_hwc.dtype == np.uint16)
        assert ("icc-profile-data" in image.get_fields()) == (page.icc_profile is not None)
    again = decode(path)
    assert len(again.more) == len(KINDS) - 1
    for one, other in zip((again, *again.more), pages(), strict=True):
        assert np.array_equal(one.rgb_hwc, other.rgb_hwc)
        deep_with_alpha = other.alpha_hw is not None and other.rgb_hwc.dtype == np.uint16
        assert one.is_grey == (other.is_grey and not deep_with_alpha)


# --- what libvips wrote, read by the runtime ---------------------------------------------------


def drawing() -> Any:
    """Four colours in blocks."""
    colours = np.array([[250, 10, 10], [10, 240, 20], [20, 30, 230], [255, 255, 255]], np.uint8)
    rows, columns = np.mgrid[0:24, 0:32]
    return colours[(rows // 6 + columns // 8) % 4]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(tmp_path: Path, bits: int) -> None:
    source = drawing() if bits > 1 else np.where(drawing()[..., :1] > 128, 255, 0).repeat(3, 2)
    image = pyvips.Image.new_from_array(source.astype(np.uint8))
    image.write_to_file(str(tmp_path / "a.png"), palette=True, bitdepth=bits, Q=100, dither=0)
    expected = vips(tmp_path / "a.png").numpy()[..., :3]
    found = decode(tmp_path / "a.png").rgb_hwc
    assert np.array_equal(found, expected)
    assert np.abs(found.astype(int) - source).max() <= 8


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_1_bit(tmp_path: Path, name: str) -> None:
    grey = np.where(drawing()[..., 0] > 128, 255, 0).astype(np.uint8)
    pyvips.Image.new_from_array(grey).write_to_file(str(tmp_path / name), bitdepth=1)
    picture = decode(tmp_path / name)
    assert picture.is_grey
    assert np.array_equal(picture.rgb_hwc[..., 0], grey)
    # And from the runtime to libvips.
    encode(picture, tmp_path / f"again-{name}", OutputSettings())
    assert np.array_equal(vips(tmp_path / f"again-{name}").numpy().reshape(grey.shape), grey)


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk_with_its_profile(tmp_path: Path, name: str) -> None:
    image = pyvips.Image.new_from_array(samples("rgb").rgb_hwc)
    options = {"Q": 100} if name == "a.jpg" else {}
    image.icc_transform("cmyk").write_to_file(str(tmp_path / name), **options)
    written = vips(tmp_path / name)
    assert written.interpretation == "cmyk"
    expected = written.icc_transform(
        "srgb", embedded=True, intent="relative", black_point_compensation=True
    ).numpy()
    picture = decode(tmp_path / name)
    assert any("CMYK colours were converted to sRGB" in note for note in picture.notes)
    assert np.abs(picture.rgb_hwc.astype(int) - expected).max() <= 3


@pytest.mark.parametrize("kind", ["rgb", "grey", "rgb-alpha", "rgb-16"])
def test_bmp_by_its_own_definition(tmp_path: Path, kind: str) -> None:
    """libvips does not read BMP, so its short header is read here."""
    picture, path = samples(kind), tmp_path / "a.bmp"
    picture.dpi = (300.0, 150.0)
    encode(picture, path, OutputSettings())
    data = path.read_bytes()
    offset, _, width, height, _, bits, packed = struct.unpack_from("<IIiiHHI", data, 10)
    per_metre = struct.unpack_from("<ii", data, 38)
    assert (data[:2], width, height, packed) == (b"BM", 30, 20, 0)
    assert [value * 0.0254 for value in per_metre] == pytest.approx([300, 150], rel=1e-3)
    channels = bits // 8
    assert channels == (1 if kind == "grey" else 3)
    stride = -(-width * channels // 4) * 4
    stored = np.frombuffer(data, np.uint8, stride * height, offset).reshape(height, stride)
    found = stored[::-1, : width * channels].reshape(height, width, channels)[..., ::-1]
    expected = picture.rgb_hwc.astype(float)
    if picture.alpha_hw is not None:
        share = picture.alpha_hw[..., None] / 255
        expected = expected * share + 255 * (1 - share)
    expected /= 257 if kind == "rgb-16" else 1
    assert np.abs(found - expected).max() <= 0.51


def test_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    picture, path = samples("rgb"), tmp_path / "a.heic"
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    exif[Base.Orientation] = 6  # HEIC has its own rotation, and EXIF must not rotate again
    heif = pillow_heif.from_pillow(Image.fromarray(picture.rgb_hwc))
    heif.save(path, quality=-1, chroma=444, exif=exif.tobytes(), icc_profile=WIDE)
    read = decode(path)
    assert read.source_format == "HEIF"
    assert read.icc_profile == WIDE
    assert b"Camera" in (read.exif or b"")
    shown = np.asarray(pillow_heif.open_heif(path).to_pillow())
    assert np.array_equal(read.rgb_hwc, shown)
    encode(read, tmp_path / "a.png", OutputSettings())
    assert np.array_equal(vips(tmp_path / "a.png").numpy(), shown)


def test_heic_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HAS_HEIF", False)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(ImageReadError, match=r"^a\.heic: .*pip install 'dggn\[heif\]'"):
        decode(tmp_path / "a.heic")
