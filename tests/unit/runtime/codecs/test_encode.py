"""Pictures are written whole, in the format that their name states, with a note for every loss."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.codecs import tiff
from runtime.codecs.decode import decode
from runtime.codecs.encode import encode
from runtime.codecs.formats import READABLE_SUFFIXES
from runtime.codecs.output import OutputSettings, target_suffix
from runtime.errors import ConfigError, ImageWriteError, TargetError
from runtime.image.picture import Picture, repeat_grey
from runtime.system.files import TEMPORARY_PREFIX, temporary_path
from tests.support.images import (
    SRGB,
    picture_of,
    read_back,
    smooth,
)


def wide_profile() -> bytes:
    """A profile whose red is sRGB's green: every RGB picture looks different with it."""
    swapped = SRGB.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    assert swapped != SRGB
    return swapped


# --- kind x format -----------------------------------------------------------------------

LOSSLESS = [".png", ".tiff", ".webp"]
NO_ALPHA = "alpha was flattened onto white: {} does not support it"
NO_16 = "reduced to 8 bits, the limit of {}"


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".jpg", ".bmp"])
@pytest.mark.parametrize(
    "kind",
    [kind + bits for kind in ("grey", "rgb", "grey-alpha", "rgb-alpha") for bits in ("", "-16")],
)
def test_colours_and_alpha_come_back(tmp_path: Path, kind: str, suffix: str) -> None:
    picture = picture_of(kind)
    target = tmp_path / f"a{suffix}"
    notes = encode(picture, target, OutputSettings(quality=100))

    image = read_back(target)
    name = {".jpg": "JPEG", ".bmp": "BMP", ".tiff": "TIFF"}.get(suffix, suffix[1:].upper())
    assert image.format == name
    keeps_alpha = suffix in LOSSLESS
    keeps_16 = suffix in (".png", ".tiff") and "16" in kind
    assert (NO_ALPHA.format(name) in notes) == ("alpha" in kind and not keeps_alpha)
    assert (NO_16.format(name) in notes) == ("16" in kind and not keeps_16)

    full = 65535 if "16" in kind else 255
    expected = picture.rgb_hwc.astype(float) / full
    alpha = None if picture.alpha_hw is None else picture.alpha_hw.astype(float) / full
    if keeps_16:
        again = decode(target)
        assert np.array_equal(again.rgb_hwc, picture.rgb_hwc)
        # Few programs read 16-bit grey with alpha in TIFF, so it is written as colour.
        assert again.is_grey == (picture.is_grey and (kind, suffix) != ("grey-alpha-16", ".tiff"))
        assert np.array_equal(again.alpha_hw, picture.alpha_hw)  # type: ignore[arg-type]
        return
    if alpha is not None and not keeps_alpha:
        expected = expected * alpha[..., None] + 1 - alpha[..., None]
    mode = "L" if "grey" in kind and suffix != ".webp" else "RGB"
    assert image.mode == mode + ("A" if "alpha" in kind and keeps_alpha else "")
    found = np.asarray(image.convert("RGBA")).astype(float)
    tolerance = 5 if suffix == ".jpg" else 0.51  # of rounding to 8 bits
    assert np.abs(found[..., :3] - expected * 255).max() <= tolerance
    if alpha is not None and keeps_alpha:
        assert np.abs(found[..., 3] - alpha * 255).max() <= 0.51


def test_channels_of_grey_are_averaged(tmp_path: Path) -> None:
    rgb = np.full((2, 2, 3), (99, 100, 103), np.uint8)  # mean 100.67
    encode(Picture(rgb_hwc=rgb, is_grey=True), tmp_path / "a.png", OutputSettings())
    image = read_back(tmp_path / "a.png")
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[101, 101]] * 2


def test_transparent_becomes_white_not_its_hidden_colour(tmp_path: Path) -> None:
    picture = Picture(
        rgb_hwc=np.full((16, 16, 3), 9, np.uint8), alpha_hw=np.zeros((16, 16), np.uint8)
    )
    encode(picture, tmp_path / "a.jpg", OutputSettings())
    assert np.asarray(read_back(tmp_path / "a.jpg")).min() >= 254


def test_16_bit_flattening_does_not_overflow(tmp_path: Path) -> None:
    full = np.full((2, 2), 65535, np.uint16)
    picture = Picture(rgb_hwc=repeat_grey(full), alpha_hw=full, is_grey=True)
    encode(picture, tmp_path / "a.bmp", OutputSettings())
    assert (np.asarray(read_back(tmp_path / "a.bmp")) == 255).all()


def test_views_are_written_like_copies(tmp_path: Path) -> None:
    rgba = smooth(4)[::-1, ::-1]
    encode(
        Picture(rgb_hwc=rgba[..., :3], alpha_hw=rgba[..., 3]), tmp_path / "a.png", OutputSettings()
    )
    assert np.array_equal(np.asarray(read_back(tmp_path / "a.png")), rgba)


# --- settings ----------------------------------------------------------------------------


def test_jpeg_keeps_full_colour_resolution(tmp_path: Path) -> None:
    encode(picture_of("rgb"), tmp_path / "a.jpg", OutputSettings())
    with Image.open(tmp_path / "a.jpg") as image:
        layers = image.layer  # type: ignore[attr-defined]
    assert [layer[1:3] for layer in layers] == [(1, 1)] * 3


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_quality_is_heeded(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    sizes = []
    for quality in (10, 50, 95):
        target = tmp_path / f"{quality}{suffix}"
        encode(Picture(rgb_hwc=noise), target, OutputSettings(quality=quality))
        sizes.append(target.stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("package", ["isal", "zlib"])
@pytest.mark.parametrize("kind", ["rgb", "rgba", "grey", "rgb16"])
def test_png_is_the_same_whatever_compresses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, kind: str
) -> None:
    if package == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal", None)
    rng = np.random.default_rng(0)
    deep = kind == "rgb16"
    rgb = rng.integers(0, 65536 if deep else 256, (300, 70, 3)).astype(np.uint16 if deep else "u1")
    if kind == "grey":
        rgb[..., 1:] = rgb[..., :1]
    alpha = rgb[..., 0] if kind == "rgba" else None
    picture = Picture(rgb_hwc=rgb, alpha_hw=alpha, is_grey=kind == "grey")
    encode(picture, tmp_path / "a.png", OutputSettings())
    written = decode(tmp_path / "a.png")
    np.testing.assert_array_equal(written.rgb_hwc, rgb)
    assert written.is_grey == picture.is_grey
    if alpha is not None:
        np.testing.assert_array_equal(written.alpha_hw, alpha)


def test_large_tiff_has_64_bit_offsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = picture_of("rgb")
    monkeypatch.setattr(tiff, "BIG_BYTES", picture.rgb_hwc.nbytes + 1)
    encode(picture, tmp_path / "a.tif", OutputSettings())
    assert (tmp_path / "a.tif").read_bytes()[2] == 42
    assert read_back(tmp_path / "a.tif").info["compression"] == "tiff_adobe_deflate"
    monkeypatch.setattr(tiff, "BIG_BYTES", picture.rgb_hwc.nbytes)
    encode(picture, tmp_path / "a.tif", OutputSettings())
    assert (tmp_path / "a.tif").read_bytes()[2] == 43
    assert np.array_equal(np.asarray(read_back(tmp_path / "a.tif")), picture.rgb_hwc)


# --- names -------------------------------------------------------------------------------


def test_every_readable_name_leads_to_one_that_is_written(tmp_path: Path) -> None:
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"} <= READABLE_SUFFIXES
    for suffix in READABLE_SUFFIXES:
        target = tmp_path / ("a" + target_suffix(Path("a" + suffix), OutputSettings()))
        encode(picture_of("rgb"), target, OutputSettings())
        read_back(target)


def test_name_that_says_no_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.xyz names no writable format: .* \.png, \.jpg"):
        encode(picture_of("rgb"), tmp_path / "a.xyz", OutputSettings())


# --- metadata ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("kind", ["rgb", "rgb-alpha", "grey"])
def test_profile_comes_back_byte_for_byte(tmp_path: Path, suffix: str, kind: str) -> None:
    target = tmp_path / f"a{suffix}"
    notes = encode(picture_of(kind, icc_profile=wide_profile()), target, OutputSettings())
    assert read_back(target).info["icc_profile"] == wide_profile()
    assert not any("profile" in note for note in notes)


def test_no_profile_stays_none(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        encode(picture_of("rgb"), tmp_path / f"a{suffix}", OutputSettings())
        assert not read_back(tmp_path / f"a{suffix}").info.get("icc_profile")


@pytest.mark.parametrize(("suffix", "within"), [(".png", 0.02), (".jpg", 0), (".tif", 0)])
def test_resolution_comes_back(tmp_path: Path, suffix: str, within: float) -> None:
    encode(picture_of("rgb", dpi=(300.0, 150.0)), tmp_path / f"a{suffix}", OutputSettings())
    dpi = read_back(tmp_path / f"a{suffix}").info["dpi"]
    assert [float(value) for value in dpi] == pytest.approx([300, 150], abs=within or 1e-6)


@pytest.mark.parametrize("kind", ["rgb", "rgb-alpha"])
def test_bmp_holds_no_profile_so_colours_are_converted(tmp_path: Path, kind: str) -> None:
    red = np.zeros((2, 2, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    alpha = np.full((2, 2), 255, np.uint8) if kind == "rgb-alpha" else None
    picture = Picture(rgb_hwc=red, alpha_hw=alpha, icc_profile=wide_profile())
    notes = encode(picture, tmp_path / "a.bmp", OutputSettings())
    assert "colours were converted to sRGB: BMP cannot store an ICC profile" in notes
    found = np.asarray(read_back(tmp_path / "a.bmp"))[0, 0]
    assert np.abs(found.astype(int) - [0, 255, 0]).max() <= 2


def test_grey_bmp_with_rgb_profile_stays_a_picture(tmp_path: Path) -> None:
    encode(picture_of("grey", icc_profile=SRGB), tmp_path / "a.bmp", OutputSettings())
    found = np.asarray(read_back(tmp_path / "a.bmp")).astype(int)
    assert np.abs(found - smooth(1)[..., 0]).max() <= 1


def test_damaged_profile_with_bmp(tmp_path: Path) -> None:
    picture = picture_of("rgb", icc_profile=b"damaged" * 30)
    notes = encode(picture, tmp_path / "a.bmp", OutputSettings())
    assert notes == ["the ICC profile was dropped: BMP cannot store it, and it is damaged"]
    assert np.array_equal(np.asarray(read_back(tmp_path / "a.bmp")), smooth(3))


# --- limits of formats -------------------------------------------------------------------


@pytest.mark.parametrize(("name", "side"), [("a.webp", 16_383), ("a.jpg", 65_500)])
def test_largest_of_the_format_is_written(tmp_path: Path, name: str, side: int) -> None:
    rgb = np.zeros((1, side, 3), np.uint8)
    encode(Picture(rgb_hwc=rgb), tmp_path / name, OutputSettings())
    assert read_back(tmp_path / name).size == (side, 1)


def test_size_is_checked_before_anything_is_encoded(tmp_path: Path) -> None:
    # 65536 x 65536 pixels that occupy three bytes.
    rgb = np.broadcast_to(np.zeros(3, np.uint8), (65_536, 65_536, 3))
    with pytest.raises(ImageWriteError, match="65,500 pixels a side"):
        encode(Picture(rgb_hwc=rgb), tmp_path / "a.jpg", OutputSettings())
    assert list(tmp_path.iterdir()) == []


# --- all or nothing ----------------------------------------------------------------------


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An older file, which must survive every failure."""
    path = tmp_path / "a.png"
    path.write_bytes(b"older")
    return path


def assert_untouched(target: Path) -> None:
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert target.read_bytes() == b"older"


def test_older_result_is_replaced(target: Path) -> None:
    encode(picture_of("rgb"), target, OutputSettings())
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert np.array_equal(np.asarray(read_back(target)), smooth(3))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("encoder error -2"), r"cannot be encoded as PNG \("),
        (ValueError("x"), r"cannot be encoded as PNG \("),
        (MemoryError(), "encoding it needs more memory"),
    ],
)
def test_encoder_that_fails(
    target: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setitem(Image.SAVE, "PNG", fail)
    with pytest.raises(ImageWriteError, match=rf"^a\.png: {words}"):
        encode(picture_of("rgb"), target, OutputSettings())
    assert_untouched(target)


@pytest.mark.parametrize(
    ("number", "words"), [(28, "No space left"), (13, "Permission denied"), (30, "Read-only")]
)
def test_disk_that_fails(
    target: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def full(path: Path, *args: Any) -> Any:
        path.touch()
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(TargetError, match=rf"cannot write to the folder .*{words}") as caught:
        encode(picture_of("rgb"), target, OutputSettings())
    monkeypatch.undo()
    assert str(target.parent) in str(caught.value)
    assert ".partial" not in str(caught.value)
    assert_untouched(target)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_write_that_fails_when_the_file_is_closed(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.open

    def full(path: Path, *args: Any) -> Any:
        path.touch()
        return original(Path("/dev/full"), "wb")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(TargetError, match="No space left"):
        encode(picture_of("rgb"), target, OutputSettings())
    monkeypatch.undo()
    assert_untouched(target)


def test_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot write to the folder .*gone"):
        encode(picture_of("rgb"), tmp_path / "gone" / "a.png", OutputSettings())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(TargetError, match="Permission denied"):
            encode(picture_of("rgb"), tmp_path / "a.png", OutputSettings())
    finally:
        tmp_path.chmod(0o700)


def test_folder_in_the_target_s_place(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageWriteError, match=r"^a\.png: cannot be put in its place"):
        encode(picture_of("rgb"), tmp_path / "a.png", OutputSettings())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_interrupt_leaves_nothing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        encode(picture_of("rgb"), target, OutputSettings())
    assert_untouched(target)


def test_temporary_names(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 250 + ".png")
    names = {temporary_path(target) for _ in range(100)}
    assert len(names) == 100
    for path in names:
        assert path.parent == target.parent
        assert path.name.startswith(TEMPORARY_PREFIX)
        assert path.name.endswith(".partial")
        assert len(path.name) < 60


def test_longest_name_is_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".png")
    encode(picture_of("rgb"), target, OutputSettings())
    assert target.is_file()


def test_threads_write_side_by_side(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=encode, args=(picture_of("rgb"), target, OutputSettings()))
        for target in [tmp_path / "same.png"] * 4 + [tmp_path / f"{n}.png" for n in range(4)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"{n}.png" for n in range(4)),
        "same.png",
    ]
    for path in tmp_path.iterdir():
        assert np.array_equal(np.asarray(read_back(path)), smooth(3))
