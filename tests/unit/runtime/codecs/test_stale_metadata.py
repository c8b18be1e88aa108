"""Metadata about the source's pixels, or about data that the result lacks."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.iptc import jpeg_segment
from runtime.codecs.large_header import read_large_header
from runtime.codecs.output import OutputSettings
from runtime.codecs.xmp_stale import with_panorama, without_stale
from runtime.image.picture import Picture

PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEYS, ASCII_KEYS = 33550, 33922, 34264, 34735, 34737
IPTC = b"\x1c\2\0\0\2\0\4\x1c\2\x78\0\7caption"
OTHERS = [".png", ".webp", ".bmp", ".gif", *([".avif"] if HAS_AVIF else [])]


def enlarged(picture: Picture, factor: int = 4) -> Picture:
    """As the upscaler does, every page."""
    pages = []
    for page in (picture, *picture.more):
        rgb = page.rgb_hwc.repeat(factor, axis=0).repeat(factor, axis=1)
        pages.append(replace(page, rgb_hwc=rgb, more=()))
    return replace(pages[0], more=tuple(pages[1:]))


def written(picture: Picture, path: Path) -> tuple[Path, list[str]]:
    return path, encode(enlarged(picture), path, OutputSettings())


def tags_of(path: Path) -> dict[int, Any]:
    with Image.open(path) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        return dict(image.tag_v2)


def tiff(path: Path, tags: dict[int, Any], kinds: dict[int, int] | None = None) -> Path:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info.tagtype.update(kinds or {})
    for tag, value in tags.items():
        info[tag] = value
    Image.new("RGB", (12, 10), (1, 2, 3)).save(path, tiffinfo=info)
    return path


# --- IPTC ----------------------------------------------------------------------------------


def with_iptc(path: Path) -> Path:
    if path.suffix == ".tif":
        return tiff(path, {33723: IPTC}, {33723: 7})
    Image.new("RGB", (12, 10)).save(path, extra=jpeg_segment(IPTC))
    return path


@pytest.mark.parametrize("target", [".jpg", ".tif"])
@pytest.mark.parametrize("source", [".jpg", ".tif"])
def test_iptc_is_kept(tmp_path: Path, source: str, target: str) -> None:
    path = with_iptc(tmp_path / f"a{source}")
    picture = decode(path)
    assert picture.iptc == IPTC
    assert read_large_header(path).metadata.iptc == IPTC
    result, notes = written(picture, tmp_path / f"b{target}")
    assert notes == []
    assert decode(result).iptc == IPTC


@pytest.mark.parametrize("target", OTHERS)
def test_iptc_that_a_format_cannot_hold_is_noted(tmp_path: Path, target: str) -> None:
    picture = decode(with_iptc(tmp_path / "a.jpg"))
    _, notes = written(picture, tmp_path / f"b{target}")
    name = {".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF", ".avif": "AVIF"}[target]
    assert f"IPTC was dropped: {name} cannot store it, JPEG and TIFF can" in notes


def test_iptc_inside_of_photoshops_resources(tmp_path: Path) -> None:
    segment = jpeg_segment(IPTC)
    assert segment is not None
    resources = segment[4 + len(b"Photoshop 3.0\0") :]
    paths = b"8BIM" + struct.pack(">HHI", 2000, 0, 4) + bytes(4)
    path = tiff(tmp_path / "a.tif", {34377: resources + paths}, {34377: 7})
    picture = decode(path)
    assert picture.iptc == IPTC
    assert picture.notes == ["dropped: Photoshop's paths"]


def test_iptc_too_long_for_a_jpeg(tmp_path: Path) -> None:
    long = b"\x1c" + bytes(70_000)
    picture = Picture(rgb_hwc=np.zeros((8, 8, 3), np.uint8), iptc=long)
    assert encode(picture, tmp_path / "a.tif", OutputSettings()) == []
    assert decode(tmp_path / "a.tif").iptc == long
    notes = encode(picture, tmp_path / "a.jpg", OutputSettings())
    assert notes == ["IPTC was dropped: JPEG stores at most 64 KiB of it"]


# --- places --------------------------------------------------------------------------------

AREA = (1, 1, 0, 1, 1025, 0, 1, 1)
POINT = (1, 1, 0, 1, 1025, 0, 1, 2)


def geotiff(path: Path, keys: tuple[int, ...], **more: Any) -> Path:
    tags = {
        PIXEL_SCALE: (10.0, 20.0, 0.0),
        TIE_POINTS: (2.0, 3.0, 0.0, 500000.0, 4600000.0, 0.0),
        KEYS: keys,
        ASCII_KEYS: "WGS 84 / UTM zone 32N|",
        42113: "-9999",
        **{int(name[1:]): value for name, value in more.items()},
    }
    kinds = {PIXEL_SCALE: 12, TIE_POINTS: 12, TRANSFORMATION: 12, KEYS: 3, ASCII_KEYS: 2, 42113: 2}
    return tiff(path, tags, kinds)


def place(tags: dict[int, Any], column: float, row: float) -> tuple[float, float]:
    """Position of a raster point; GeoTIFF 1.1, annex B.6."""
    keys = tags[KEYS]
    half = 0.5 if keys[7] == 2 else 0.0  # pixels are points: whole numbers are their centres
    i, j, _, x, y, _ = tags[TIE_POINTS]
    across, down, _ = tags[PIXEL_SCALE]
    return x + (column - half - i) * across, y - (row - half - j) * down


@pytest.mark.parametrize("keys", [AREA, POINT])
def test_georeferencing_is_scaled(tmp_path: Path, keys: tuple[int, ...]) -> None:
    path = geotiff(tmp_path / "a.tif", keys)
    before = tags_of(path)
    result, notes = written(decode(path), tmp_path / "b.tif")
    after = tags_of(result)
    assert notes == []
    assert after[PIXEL_SCALE] == (2.5, 5.0, 0.0)
    # The corners, counted from the upper left edge of the raster, keep their positions.
    for column, row in ((0, 0), (12, 0), (0, 10), (12, 10), (5.5, 2.25)):
        assert place(after, 4 * column, 4 * row) == pytest.approx(place(before, column, row))
    for tag in (KEYS, ASCII_KEYS, 42113):
        assert after[tag] == before[tag]
    assert decode(path).places == read_large_header(path).metadata.places


@pytest.mark.parametrize("keys", [AREA, POINT])
def test_a_transformation_is_scaled(tmp_path: Path, keys: tuple[int, ...]) -> None:
    matrix = np.array([[3.0, 1, 0, 100], [-1, -2, 0, 200], [0, 0, 0, 0], [0, 0, 0, 1]])
    path = geotiff(tmp_path / "a.tif", keys, t34264=tuple(matrix.ravel()))
    result, _ = written(decode(path), tmp_path / "b.tif")
    after = np.array(tags_of(result)[TRANSFORMATION]).reshape(4, 4)
    half = 0.5 if keys is POINT else 0.0
    for column, row in ((0, 0), (12, 10), (5.5, 2.25)):
        before_point = matrix @ [column - half, row - half, 0, 1]
        after_point = after @ [4 * column - half, 4 * row - half, 0, 1]
        np.testing.assert_allclose(after_point, before_point)


@pytest.mark.parametrize("target", [".jpg", *OTHERS])
def test_georeferencing_that_a_format_cannot_hold_is_noted(tmp_path: Path, target: str) -> None:
    picture = decode(geotiff(tmp_path / "a.tif", AREA))
    _, notes = written(picture, tmp_path / f"b{target}")
    assert any(note.startswith("the georeferencing was dropped: ") for note in notes)


def test_georeferencing_of_a_turned_picture_is_left_out(tmp_path: Path) -> None:
    picture = decode(geotiff(tmp_path / "a.tif", AREA, t274=6))
    assert picture.places is None
    assert picture.notes == ["dropped: the georeferencing, because the picture was rotated upright"]


IMAGEJ = "ImageJ=1.54f\nimages=1\nunit=micron\n"


def test_imagejs_pixel_sizes_are_scaled(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", {270: IMAGEJ, 282: 2.5, 283: 5.0, 296: 1})
    result, notes = written(decode(path), tmp_path / "b.tif")
    tags = tags_of(result)
    assert notes == []
    assert tags[270] == IMAGEJ
    assert (float(tags[282]), float(tags[283]), tags[296]) == (10.0, 20.0, 1)
    _, notes = written(decode(path), tmp_path / "b.png")
    assert "the physical pixel size was dropped: PNG cannot store it, TIFF can" in notes
    assert "dropped: ImageJ's description, which only describes all pages of a TIFF" in notes


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image>'
    '<Pixels SizeC="1" SizeX="12" SizeY="10" SizeT="1" SizeZ="1" Type="float" '
    'PhysicalSizeX="0.5" PhysicalSizeXUnit="µm" PhysicalSizeY="0.25"/></Image></OME>'
)


def test_ome_sizes_are_scaled(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", {270: OME, 282: 20000.0, 283: 40000.0, 296: 3})
    result, notes = written(decode(path), tmp_path / "b.tif")
    tags = tags_of(result)
    assert notes == []
    for words in (
        *('SizeX="48"', 'SizeY="40"', 'PhysicalSizeX="0.125"', 'PhysicalSizeY="0.0625"'),
        *('SizeZ="1"', 'Type="uint8"', 'PhysicalSizeXUnit="'),
    ):
        assert words in tags[270]
    assert (float(tags[282]), float(tags[283]), tags[296]) == (80000.0, 160000.0, 3)
    _, notes = written(decode(path), tmp_path / "b.png")
    assert "dropped: the OME description, which only describes all pages of a TIFF" in notes


def test_a_print_resolution_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", {270: "A house", 282: 300.0, 283: 300.0, 296: 2})
    result, _ = written(decode(path), tmp_path / "b.tif")
    tags = tags_of(result)
    assert (float(tags[282]), tags[296], tags[270]) == (300.0, 2, "A house")


def test_a_description_of_an_array_is_left_out(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", {270: '{"shape": [10, 12, 3]}'})
    result, notes = written(decode(path), tmp_path / "b.tif")
    assert notes == ["dropped: a description of the sample layout, which no longer applies"]
    assert 270 not in tags_of(result)


# --- XMP -----------------------------------------------------------------------------------

SPACES = {
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "other": "http://ns.google.com/photos/1.0/container/",
}


def packet(inside: str) -> bytes:
    spaces = " ".join(f'xmlns:{name}="{space}"' for name, space in SPACES.items())
    begin = f"<x:xmpmeta><rdf:RDF><rdf:Description {spaces}"
    return f"{begin}{inside}</rdf:RDF></x:xmpmeta>".encode()


DIRECTORY = (
    '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item '
    'Item:Mime="video/mp4" Item:Length="4000"/></rdf:li></rdf:Seq></Container:Directory>'
)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (' GCamera:MotionPhoto="1" dc:x="a"/>', ' dc:x="a"/>', "GCamera:MotionPhoto"),
        (" GCamera:MicroVideoOffset = '9'/>", "/>", "GCamera:MicroVideoOffset"),
        (' GCamera:BurstID="1"/>', ' GCamera:BurstID="1"/>', ""),
        (f">{DIRECTORY}<dc:x>a</dc:x></rdf:D>", "><dc:x>a</dc:x></rdf:D>", "Container:Directory"),
        ("><other:Directory>a</other:Directory>", ">", "other:Directory"),
        (' hdrgm:Version="1.0"/>', "/>", "hdrgm:Version"),
        ("><hdrgm:GainMapMin>0</hdrgm:GainMapMin>", ">", "hdrgm:GainMapMin"),
        ("><hdrgm:Gamma/><dc:x/>", "><dc:x/>", "hdrgm:Gamma"),
        (' xmpNote:HasExtendedXMP="AB"/>', "/>", "xmpNote:HasExtendedXMP"),
        (' dc:title="GCamera:MotionPhoto"/>', ' dc:title="GCamera:MotionPhoto"/>', ""),
        ("><hdrgm:Gamma>1", "><hdrgm:Gamma>1", ""),
    ],
)
def test_xmp_of_what_is_gone_is_left_out(before: str, after: str, named: str) -> None:
    found, notes = without_stale(packet(before))
    assert found == packet(after)
    assert bool(notes) == bool(named)
    assert all(named in note for note in notes)


def test_xmp_of_the_file_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (12, 10)).save(path, xmp=packet(' GCamera:MotionPhoto="1" dc:x="a"/>'))
    picture = decode(path)
    assert picture.xmp == packet(' dc:x="a"/>')
    assert picture.notes == ["dropped from XMP, because it no longer applies: GCamera:MotionPhoto"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_panoramas_count_the_results_pixels(tmp_path: Path, suffix: str) -> None:
    xmp = packet(
        ' GPano:FullPanoWidthPixels="240" GPano:CroppedAreaTopPixels="11" '
        'GPano:CroppedAreaImageWidthPixels="12" GPano:PoseHeadingDegrees="120">'
        "<GPano:FullPanoHeightPixels>120</GPano:FullPanoHeightPixels></rdf:Description>"
    )
    picture = Picture(rgb_hwc=np.zeros((10, 12, 3), np.uint8), xmp=xmp)
    path, result = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    encode(picture, path, OutputSettings())
    written(decode(path), result)
    found = decode(result).xmp or b""
    for words in (
        *(b'FullPanoWidthPixels="960"', b'CroppedAreaTopPixels="44"', b'Degrees="120"'),
        *(b'CroppedAreaImageWidthPixels="48"', b">480</GPano:FullPanoHeightPixels>"),
    ):
        assert words in found


@pytest.mark.parametrize(
    "torn",
    [
        "<hdrgm:a>",
        "<hdrgm:a ",
        " hdrgm:b=",
        " hdrgm:b='<",
        "<GPano:FullPanoWidthPixels> ",
        "xmlns:",
    ],
)
def test_torn_xmp_takes_no_time(torn: str) -> None:
    """Searching for each end again would take hours."""
    long = packet(torn * 50_000)
    assert without_stale(long) == (long, [])
    assert with_panorama(long, (4, 4)) == long


def test_a_gif_says_the_same_of_its_size(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("P", (7, 5)).save(buffer, "GIF")
    (tmp_path / "a.gif").write_bytes(buffer.getvalue())
    assert decode(tmp_path / "a.gif").source_size_hw == (5, 7)
