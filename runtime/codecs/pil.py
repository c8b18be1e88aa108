"""Converts between PIL images in memory and upright `Picture`s, and gathers their metadata."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from runtime.codecs.colour_marks import colours_of_exif, with_profile_of
from runtime.codecs.exif import read_exif, read_exif_dpi, read_orientation
from runtime.codecs.iptc import read_iptc
from runtime.codecs.limits import quiet_pillow, translated
from runtime.codecs.sixteen_bit import deep_samples
from runtime.codecs.xmp_text import read_text, read_xmp
from runtime.errors import ImageReadError
from runtime.image.colour import Channels, channels_of, raw_mode
from runtime.image.picture import Picture, Samples, reduce_to_8_bits, repeat_grey
from runtime.image.stated_colours import SRGB, StatedColours


def picture_from_image(image: Image.Image) -> Picture:
    """Return the picture in a PIL image of any mode.

    Args:
        image: any mode; not changed, except that it is loaded. Its orientation is applied.

    Raises:
        ImageReadError: it cannot be loaded, or its samples have no meaning as a picture.
    """
    if not all(image.size):
        raise ImageReadError("the image has no pixels")
    with translated():
        return loaded_picture(image)


def image_from_picture(picture: Picture) -> Image.Image:
    """Return a PIL image with the picture's ICC profile, EXIF and DPI.

    Returns:
        Mode L, LA, RGB or RGBA, or I;16 for 16-bit grey without alpha. Pillow has no other
        16-bit modes, so those are reduced to 8 bits.
    """
    image = _image_of(picture)
    for name in ("icc_profile", "exif", "dpi"):
        value = getattr(picture, name)
        if value is not None:
            image.info[name] = value
    return image


def _image_of(picture: Picture) -> Image.Image:
    colour = picture.grey_hw() if picture.is_grey else picture.rgb_hwc
    if picture.alpha_hw is None:
        if picture.is_grey and colour.dtype == np.uint16:
            return Image.fromarray(colour)
        return Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(colour)))
    # Joined by Pillow: NumPy alone cannot say that two channels are grey and alpha.
    image = Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(colour)))
    image.putalpha(Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(picture.alpha_hw))))
    return image


def loaded_picture(
    image: Image.Image, png: bytes = b"", *, colours: StatedColours | None = None
) -> Picture:
    """Return the picture in an image's current frame.

    Args:
        image: any mode; it is loaded.
        png: the file of a single picture that it comes from, to read all 16 bits of its colours.
        colours: colours that its file states without a profile.
    """
    raw = raw_mode(image)
    with quiet_pillow():
        # Loading a TIFF reads its tags, and complains of damaged ones only the first time. It
        # also turns it upright, but not its resolution.
        stored_orientation = read_orientation(image)
    image.load()
    with quiet_pillow():
        orientation = read_orientation(image)
        deep = deep_samples(png, raw) if png else None
    channels = channels_of(image, raw, deep)
    return channels_picture(
        channels, image, orientation, max(orientation, stored_orientation), colours=colours
    )


def channels_picture(
    channels: Channels,
    image: Image.Image,
    orientation: int,
    undone: int | None = None,
    *,
    colours: StatedColours | None = None,
) -> Picture:
    """Return the upright picture from an image's colours and metadata.

    Args:
        channels: channels as stored.
        image: source of the metadata.
        orientation: orientation of `channels`.
        undone: the orientation that was stored; `orientation` where None.
        colours: colours that its file states without a profile.
    """
    colour, alpha = upright(channels.colour, orientation), channels.alpha_hw
    is_grey = colour.ndim == 2
    picture = Picture(
        rgb_hwc=repeat_grey(colour) if is_grey else colour,
        alpha_hw=None if alpha is None else upright(alpha, orientation),
        is_grey=is_grey,
        icc_profile=channels.icc_profile,
        source_format=image.format or "PNG",
        notes=channels.notes,
    )
    return with_metadata(
        picture,
        image,
        orientation if undone is None else undone,
        colours=SRGB if channels.is_converted else colours,
    )


def with_metadata(
    picture: Picture,
    image: Image.Image,
    orientation: int,
    *,
    colours: StatedColours | None = None,
) -> Picture:
    """Add an image's metadata, except its profile, to a picture.

    Args:
        picture: its notes are kept.
        image: source of the metadata; needs loading only if that reveals more.
        orientation: the orientation already applied.
        colours: colours that its file states without a profile or EXIF.
    """
    with quiet_pillow():
        picture = with_profile_of(picture, colours or colours_of_exif(image))
        exif, notes = read_exif(image)
        xmp, xmp_notes = read_xmp(image)
        iptc, iptc_notes = read_iptc(image)
    return replace(
        picture,
        exif=exif,
        dpi=_dpi(image, sideways=orientation >= 5),
        xmp=xmp,
        iptc=iptc,
        source_size_hw=picture.size_hw,
        text=read_text(image),
        notes=picture.notes + notes + xmp_notes + iptc_notes + _aspect_note(image),
    )


def upright(samples: Samples, orientation: int) -> Samples:
    """Undo an EXIF orientation.

    Args:
        samples: (H, W) or (H, W, C), as stored.
        orientation: 1 to 8; from 5 on the stored rows are columns of the scene.

    Returns:
        Contiguous, the same type.
    """
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return cast(Samples, np.ascontiguousarray(samples))


def _aspect_note(image: Image.Image) -> list[str]:
    """Return a note where the file states that pixels are not square, but no resolution."""
    width, height = image.info.get("aspect") or (1, 1)  # PNG
    if image.info.get("jfif_unit") == 0:
        width, height = image.info.get("jfif_density", (1, 1))
    return [] if width == height else ["dropped: the pixel aspect ratio; pixels are square"]


def _dpi(image: Image.Image, *, sideways: bool) -> tuple[float, float] | None:
    stated = image.info.get("dpi")
    # Pillow says 1 where a TIFF states none, and what another page of the file states; and 72
    # where a JPEG states none.
    is_jpeg = image.format in ("JPEG", "MPO")
    is_invented = is_jpeg and stated == (72, 72) and not image.info.get("jfif_unit")
    if isinstance(image, TiffImageFile) or is_invented or not stated:
        stated = read_exif_dpi(image)
    try:
        horizontal, vertical = (float(value) for value in stated or ())
    except (TypeError, ValueError, ArithmeticError):
        return None  # not stated, or damaged: of no account for the picture
    if not all(math.isfinite(value) and 1 <= value <= 100_000 for value in (horizontal, vertical)):
        return None
    return (vertical, horizontal) if sideways else (horizontal, vertical)
