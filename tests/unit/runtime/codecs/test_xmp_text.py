from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.output import OutputSettings
from runtime.codecs.xmp_text import XMP_BROKEN_NOTE, xmp_for
from runtime.image.picture import Picture

BLACK = np.zeros((4, 5, 3), np.uint8)


def packet(inside: str) -> bytes:
    return f"<x:xmpmeta><rdf:RDF><rdf:Description {inside}</rdf:RDF></x:xmpmeta>".encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('tiff:Orientation="6"/>', 'tiff:Orientation="1"/>'),
        ("tiff:Orientation = '8' />", "tiff:Orientation = '1' />"),
        ("><tiff:Orientation>3</tiff:Orientation>", "><tiff:Orientation>1</tiff:Orientation>"),
        ('exif:PixelXDimension="99"/>', 'exif:PixelXDimension="5"/>'),
        ('exif:PixelYDimension="99"/>', 'exif:PixelYDimension="4"/>'),
        ("><tiff:ImageWidth>9</tiff:ImageWidth>", "><tiff:ImageWidth>5</tiff:ImageWidth>"),
        ('dc:title="tiff:Orientation"/>', 'dc:title="tiff:Orientation"/>'),
        ('aux:Lens="50"/>', 'aux:Lens="50"/>'),
    ],
)
def test_xmp_is_upright_and_states_the_new_size(before: str, after: str) -> None:
    assert xmp_for(Picture(rgb_hwc=BLACK, xmp=packet(before))) == packet(after)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_xmp_comes_back(tmp_path: Path, suffix: str) -> None:
    xmp = packet('dc:title="Größe"/>')
    assert encode(Picture(rgb_hwc=BLACK, xmp=xmp), tmp_path / f"a{suffix}", OutputSettings()) == []
    assert decode(tmp_path / f"a{suffix}").xmp == xmp


def test_xmp_that_is_damaged_or_too_long(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "a.jpg", xmp=b"no packet")
    picture = decode(tmp_path / "a.jpg")
    assert picture.xmp is None
    assert picture.notes == [XMP_BROKEN_NOTE]
    long = Picture(rgb_hwc=BLACK, xmp=packet('x="' + "y" * 70_000 + '"/>'))
    notes = encode(long, tmp_path / "b.jpg", OutputSettings())
    assert notes == ["XMP was dropped: JPEG stores at most 65504 bytes of it"]
    assert encode(long, tmp_path / "b.bmp", OutputSettings()) == [
        "XMP was dropped: BMP cannot store it"
    ]


def test_words_of_a_png_come_back(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat, steps: 20", zip=True)
    info.add_itxt("Title", "Größe", lang="de")
    info.add_text("Raw profile type exif", "\nexif\n  0\n")
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png", pnginfo=info)
    picture = decode(tmp_path / "a.png")
    assert dict(picture.text) == {"parameters": "a cat, steps: 20", "Title": "Größe"}
    assert encode(picture, tmp_path / "b.png", OutputSettings()) == []
    assert dict(decode(tmp_path / "b.png").text) == dict(picture.text)
    notes = encode(picture, tmp_path / "b.webp", OutputSettings())
    assert notes == ["text was dropped (parameters, Title): WEBP cannot store it, PNG can"]


@pytest.mark.parametrize("suffix", [".jpg", ".gif"])
def test_a_comment_comes_back(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / f"a{suffix}", comment="taken by me")
    picture = decode(tmp_path / f"a{suffix}")
    assert dict(picture.text) == {"Comment": "taken by me"}
    encode(picture, tmp_path / f"b{suffix}", OutputSettings())
    assert dict(decode(tmp_path / f"b{suffix}").text) == {"Comment": "taken by me"}


@pytest.mark.parametrize("suffix", [".jpg", ".gif"])
def test_a_comment_in_latin_1_keeps_its_letters(tmp_path: Path, suffix: str) -> None:
    comment = "Café ©".encode("latin-1")
    Image.new("RGB", (5, 4)).save(tmp_path / f"a{suffix}", comment=comment)
    picture = decode(tmp_path / f"a{suffix}")
    assert dict(picture.text) == {"Comment": "Café ©"}
    encode(picture, tmp_path / f"b{suffix}", OutputSettings())
    assert dict(decode(tmp_path / f"b{suffix}").text) == {"Comment": "Café ©"}


def test_resolution_travels_in_exif_where_there_is_no_other_place(tmp_path: Path) -> None:
    picture = Picture(rgb_hwc=BLACK, dpi=(300.0, 150.5))
    encode(picture, tmp_path / "a.webp", OutputSettings())
    assert decode(tmp_path / "a.webp").dpi == (300.0, 150.5)
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 100.0, 100.0, 3  # per centimetre
    Image.new("RGB", (5, 4)).save(tmp_path / "b.webp", exif=exif)
    assert decode(tmp_path / "b.webp").dpi == pytest.approx((254, 254))
