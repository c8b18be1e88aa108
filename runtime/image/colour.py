"""Converts from every Pillow mode to RGB or grey, and between colour spaces."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from runtime.errors import ImageReadError
from runtime.image.picture import Samples, reduce_to_8_bits
from runtime.image.profile import checked_profile, profile_of, profile_problem

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANAR, _TIFF_SAMPLE_FORMAT = 258, 262, 284, 339


@dataclass(kw_only=True)
class Channels:
    """The colours and alpha of one image."""

    colour: Samples
    """(H, W) grey or (H, W, 3) RGB, uint8 or uint16 over the type's full range."""

    alpha_hw: Samples | None
    """(H, W), the same type."""

    icc_profile: bytes | None
    """Colour space of `colour`; None means sRGB."""

    notes: list[str] = field(default_factory=list)
    """Notes for the user."""

    is_converted: bool = False
    """Whether the colours were converted to sRGB, whatever the file states."""


def raw_mode(image: Image.Image) -> str:
    """Return the raw mode of an image's file in Pillow's terms; empty if unknown.

    To be asked before `image.load()`, which forgets it. It tells 16 bits from the 8 that Pillow
    makes of them.
    """
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    if first == "R" and image.mode in ("RGB", "RGBA") and _has_deep_planes(image):
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        return f"{image.mode};16{'L' if image.tag_v2.prefix == b'II' else 'B'}"
    return first if isinstance(first, str) else ""


def channels_of(
    image: Image.Image, raw: str = "", deep: NDArray[np.uint16] | None = None
) -> Channels:
    """Return the colours of an image.

    Args:
        image: loaded; not changed.
        raw: result of :func:`raw_mode` before it was loaded.
        deep: its samples with 16 bits, if it has 16; see
            `sixteen_bit.deep_samples`.

    Raises:
        ImageReadError: the samples have no meaning as a picture, or Pillow misreads them.
    """
    check_kind(image, raw)
    if image.mode.startswith("I"):
        return _from_deep_grey(image, raw)
    if image.mode in ("CMYK", "LAB"):
        return _from_print(image, profile_of(image))
    if deep is not None:
        return _from_samples(image, deep)
    return _from_8_bits(image, raw)


def channels_of_samples(image: Image.Image, samples: Samples, *, is_cmyk: bool) -> Channels:
    """Return the colours of samples that Pillow did not read.

    Args:
        image: source of their profile.
        samples: (H, W, C), uint8 or uint16, C being 1 for grey, 3 for RGB or 4 for CMYK, and one
            more for alpha.
        is_cmyk: their colours are CMYK.
    """
    if not is_cmyk:
        return _from_samples(image, samples)
    inks = Image.frombytes(
        "CMYK",
        (samples.shape[1], samples.shape[0]),
        np.ascontiguousarray(reduce_to_8_bits(samples[..., :4])).tobytes(),
    )
    channels = _from_print(inks, profile_of(image))
    if samples.dtype == np.uint16:
        channels.notes.append("CMYK of 16 bits was reduced to 8 bits")
    if samples.shape[2] > 4:
        channels.alpha_hw = reduce_to_8_bits(samples[..., 4])
    return channels


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB.

    Args:
        image: mode L, RGB, CMYK or LAB.
        profile: its ICC profile; empty for LAB, which needs none.

    Returns:
        Mode RGB.

    Raises:
        PyCMSError: the profile is damaged or is not for this mode.
    """
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    else:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        except OSError as error:
            raise ImageCms.PyCMSError(error) from error
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None, "not asked to work in place"
    return converted


def check_kind(image: Image.Image, raw: str) -> None:
    """Refuse samples that are not colours, and those that Pillow misreads.

    Args:
        image: loaded or not.
        raw: result of :func:`raw_mode` before it was loaded.

    Raises:
        ImageReadError: they are such.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        formats = image.tag_v2.get(_TIFF_SAMPLE_FORMAT, (1,))
        if any(kind != 1 for kind in (formats if isinstance(formats, tuple) else (formats,))):
            raise ImageReadError(
                "its samples are signed or floating-point numbers, whose black and white are not "
                "stated: convert it to 8 or 16 bits unsigned"
            )
        # The library that decompresses gives Pillow the upper bytes only, and says nothing.
        if _has_deep_planes(image) and (raw in tuple("CMYK") or raw.endswith(";16N")):
            raise ImageReadError(
                "it holds colours of 16 bits in separate planes that are compressed or CMYK, which "
                "cannot be read: save it uncompressed or with interleaved channels"
            )
    if image.mode == "F" or (image.mode.startswith("I") and "32" in raw):
        raise _black_and_white_unknown(image)


def _black_and_white_unknown(image: Image.Image) -> ImageReadError:
    return ImageReadError(
        f"its samples (Pillow mode {image.mode}) are not 8 or 16 bits unsigned, so their "
        "black and white levels are unknown: convert it to 8 or 16 bits unsigned"
    )


def _has_deep_planes(image: Image.Image) -> bool:
    """Return whether an image has separate 16-bit colour planes, which Pillow reads as 8-bit."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags = image.tag_v2
    return tags.get(_TIFF_PLANAR) == 2 and max(tags.get(_TIFF_BITS, (1,))) > 8


def _from_deep_grey(image: Image.Image, raw: str) -> Channels:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise _black_and_white_unknown(image)
    grey = values.astype(np.uint16)
    key = image.info.get("transparency")
    alpha = None
    if isinstance(key, int):
        alpha = np.where(grey == key, 0, 65535).astype(np.uint16)
    if raw == "I;12":
        grey = (grey * 16 + grey // 256).astype(np.uint16)
    tags = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # white is zero, which Pillow heeds in 8 bits only
        grey = np.invert(grey)
    profile, notes = checked_profile(image, is_grey=True)
    return Channels(colour=grey, alpha_hw=alpha, icc_profile=profile, notes=notes)


def _from_print(image: Image.Image, profile: bytes) -> Channels:
    """Convert CMYK and Lab, which only print shops and a few editors can use, to sRGB."""
    if image.mode == "LAB":
        note = "Lab colours were converted to sRGB"
        colour = np.asarray(to_srgb(image, b""))
        return _converted(colour, note)
    rgb: Image.Image | None = None
    note = "CMYK without a profile was converted to RGB: colours are approximate"
    wrong = profile_problem(profile, b"CMYK") if profile else ""
    if profile and not wrong:
        try:
            rgb = to_srgb(image, profile)
            note = "CMYK colours were converted to sRGB through the embedded profile"
        except ImageCms.PyCMSError:
            wrong = "is damaged"
    if wrong:
        note = f"the ICC profile {wrong}: CMYK was converted to RGB without it"
    if rgb is None:
        rgb = image.convert("RGB")
    return _converted(np.asarray(rgb), note)


def _converted(rgb_hwc: Samples, note: str) -> Channels:
    return Channels(
        colour=rgb_hwc, alpha_hw=None, icc_profile=None, notes=[note], is_converted=True
    )


def _from_samples(image: Image.Image, deep: Samples) -> Channels:
    channels = deep.shape[2]
    profile, notes = checked_profile(image, is_grey=channels < 3)
    colour = deep[..., 0] if channels < 3 else deep[..., :3]
    alpha: Samples | None = deep[..., -1] if channels % 2 == 0 else None
    key = image.info.get("transparency")
    if alpha is None and isinstance(key, tuple) and len(key) == 3:
        matches = (colour == np.array(key)).all(axis=2)
        alpha = np.where(matches, 0, 65535).astype(np.uint16)
    return Channels(colour=colour, alpha_hw=alpha, icc_profile=profile, notes=notes)


def _from_8_bits(image: Image.Image, raw: str) -> Channels:
    notes = []
    if image.info.get("bit_depth", 8) > 8:  # of HEIC and AVIF
        notes.append("reduced to 8 bits")
    elif ";16" in raw:
        notes.append("16-bit colours were reduced to 8 bits")
    key = image.info.get("transparency")
    mode, original = image.mode, image
    if mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        key = None
    elif mode in ("La", "RGBa"):
        image = image.convert(mode.upper())
    elif mode == "1":
        image = image.convert("L")
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    samples = cast("NDArray[np.uint8]", np.asarray(image))
    alpha: NDArray[np.uint8] | None = None
    if image.mode in ("LA", "RGBA"):
        colour, alpha = samples[..., :-1], samples[..., -1]
        # Pillow has no 16-bit grey with alpha, so it reads it as RGBA.
        if image.mode == "LA" or raw.startswith("LA"):
            colour = colour[..., 0]
    else:
        colour = samples
        if key is not None:
            alpha = _keyed_alpha(colour, key, raw)
    profile, profile_notes = checked_profile(original, is_grey=colour.ndim == 2)
    notes += profile_notes
    return Channels(colour=colour, alpha_hw=alpha, icc_profile=profile, notes=notes)


def _keyed_alpha(colour: NDArray[np.uint8], key: object, raw: str) -> NDArray[np.uint8] | None:
    """Return the alpha of a picture with one transparent colour.

    The colour is stated in the file's own bits, which Pillow has stretched or cut to 8.
    """
    parts = key if isinstance(key, tuple) else (key,)
    channels = 1 if colour.ndim == 2 else 3
    if len(parts) != channels or not all(isinstance(part, int) for part in parts):
        return None
    factor = {"L;2": 85, "L;4": 17}.get(raw, 1)
    shift = 8 if ";16" in raw else 0
    wanted = np.array([(part * factor) >> shift for part in parts])
    if raw == "1":
        wanted = np.where(wanted, 255, 0)  # some versions of Pillow have stretched it, too
    matches = (colour.reshape(*colour.shape[:2], channels) == wanted).all(axis=2)
    return np.where(matches, 0, 255).astype(np.uint8)
