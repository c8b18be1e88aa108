"""Encodes a `Picture` to a file that is either complete or absent."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import ImageCms

from runtime.codecs.animation import save_animation
from runtime.codecs.exif import exif_for
from runtime.codecs.formats import (
    AVIF,
    GIF,
    JPEG,
    PNG,
    TIFF,
    WEBP,
    OutputFormat,
    check_size,
    load_formats,
    output_format,
)
from runtime.codecs.iptc import jpeg_segment
from runtime.codecs.output import OutputSettings
from runtime.codecs.pil import image_from_picture
from runtime.codecs.png import write_png
from runtime.codecs.tiff import write_tiff
from runtime.codecs.xmp_text import COMMENT, png_text_chunks, text_for, xmp_for
from runtime.errors import ImageWriteError, TargetError
from runtime.image.colour import to_srgb
from runtime.image.picture import Picture, is_deep, on_white, with_8_bits
from runtime.image.stated_colours import rgb_profile_of
from runtime.image.transparency import is_mask
from runtime.system.files import NotReplaced, replacing

SaveOptions: TypeAlias = dict[str, Any]
"""Pillow's arguments for one format."""


def encode(picture: Picture, target: Path, settings: OutputSettings) -> list[str]:
    """Write a picture in the format named by the target's suffix.

    It is written to a temporary name in the target's folder, which must exist, and renamed when
    complete; on any failure the temporary file is removed, and what is at the target stays as it
    was. The profile is kept byte for byte where the format holds one.

    Returns:
        Notes on what the format could not keep.

    Raises:
        ImageWriteError: this picture cannot be written under this name or in this format.
        TargetError: the folder cannot be written, so that no other picture can either.
        ConfigError: the target's suffix names no writable format.
    """
    form = output_format(target)
    pages, notes = _pages_for(picture, form)
    load_formats()
    try:
        prepared = []
        for page in pages:
            check_size(page.size_hw, target)
            prepared_page, page_notes = _prepare(page, form)
            prepared.append(prepared_page)
            notes += page_notes
        # Into memory first: a failure of the encoder cannot be taken for one of the disk.
        buffer = io.BytesIO()
        notes += _save(prepared, form, settings, buffer)
    except ImageWriteError:
        raise
    except MemoryError as error:
        raise ImageWriteError(
            f"{target.name}: encoding it needs more memory than is available: close other "
            "programs, or use --jobs 1 or a smaller --max-size"
        ) from error
    except Exception as error:
        raise ImageWriteError(
            f"{target.name}: cannot be encoded as {form.pillow_name} "
            f"({error or type(error).__name__}): choose another --format"
        ) from error
    del prepared, pages
    _write(buffer, target)
    return list(dict.fromkeys(notes))


def _pages_for(picture: Picture, form: OutputFormat) -> tuple[list[Picture], list[str]]:
    """Return the frames or pages that the format can hold, and notes."""
    pages = [replace(picture, more=()), *picture.more]
    name = form.pillow_name
    if len(pages) == 1 or form.has_pages:
        timed = len(pages) > 1 and picture.plays is not None
        return pages, ["frame durations were dropped: TIFF cannot store them"] if timed else []
    if form.has_frames and picture.plays is not None:
        return pages, []
    what, instead = ("frames", "webp") if picture.plays is not None else ("pages", "tiff")
    note = f"only the first of {len(pages)} {what} was written: {name} stores one, {instead} all"
    return pages[:1], [note]


def _prepare(picture: Picture, form: OutputFormat) -> tuple[Picture, list[str]]:
    """Return the picture as the format can hold it, with the metadata to write, and notes."""
    picture, notes = samples_for(picture, form)
    picture, metadata_notes = metadata_for(picture, form)
    if picture.icc_profile and not form.has_icc:
        picture, note = _without_profile(picture, form.pillow_name)
        notes.append(note)
    if form is GIF:
        if picture.alpha_hw is not None and not is_mask(picture.alpha_hw):
            notes.append("alpha was reduced to on and off, the limit of GIF; webp and png keep it")
        notes.append("reduced to 256 colours, the limit of GIF; webp and png keep all")
    return picture, notes + metadata_notes


def samples_for(picture: Picture, form: OutputFormat) -> tuple[Picture, list[str]]:
    """Convert a picture, or some rows of it, to samples that the format holds; return notes too."""
    notes = []
    name = form.pillow_name
    if picture.alpha_hw is not None and not form.has_alpha:
        picture = replace(
            picture, rgb_hwc=on_white(picture.rgb_hwc, picture.alpha_hw), alpha_hw=None
        )
        notes.append(f"alpha was flattened onto white: {name} does not support it")
    if is_deep(picture) and not (form.has_16_bits and picture.plays is None):
        picture = with_8_bits(picture)
        notes.append(f"reduced to 8 bits, the limit of {name}")
    if form is TIFF and picture.is_grey and picture.alpha_hw is not None and is_deep(picture):
        picture = replace(picture, is_grey=False)
        notes.append("grey was written as RGB: few programs support 16-bit grey with alpha in TIFF")
    return picture, notes


def metadata_for(picture: Picture, form: OutputFormat) -> tuple[Picture, list[str]]:
    """Keep the metadata that the format holds, updated to the picture's size; return notes too."""
    name = form.pillow_name
    exif, exif_notes = exif_for(
        picture,
        with_dpi=not form.has_dpi and form.max_exif_bytes is None,
        is_tiff=form is TIFF,
    )
    exif, left_out = _if_short(exif, form.max_exif_bytes, f"EXIF was dropped: {name}")
    xmp, xmp_left_out = _if_short(xmp_for(picture), form.max_xmp_bytes, f"XMP was dropped: {name}")
    text, text_notes = text_for(picture, form)
    picture, profile_notes = _with_profile_of_samples(picture, form)
    picture, other_notes = _with_places_and_iptc(picture, form)
    picture = replace(picture, exif=exif, xmp=xmp, text=text)
    notes = exif_notes + left_out + xmp_left_out + text_notes + profile_notes + other_notes
    return picture, notes


def _with_profile_of_samples(picture: Picture, form: OutputFormat) -> tuple[Picture, list[str]]:
    """Replace a grey profile where grey is written as RGB."""
    profile = picture.icc_profile
    is_animated = picture.plays is not None
    stays_grey = picture.is_grey and form.has_grey and not (form is PNG and is_animated)
    if not profile or not form.has_icc or profile[16:20] != b"GRAY" or stays_grey:
        return picture, []
    equivalent = rgb_profile_of(profile)
    note = "the grey ICC profile became an equivalent one for RGB: the result stores grey as RGB"
    if equivalent is None:
        note = "the ICC profile was dropped: it is for grey, and the result stores grey as RGB"
    return replace(picture, icc_profile=equivalent), [note]


def _with_places_and_iptc(picture: Picture, form: OutputFormat) -> tuple[Picture, list[str]]:
    name, notes = form.pillow_name, []
    places, iptc = picture.places, picture.iptc
    if places and form.has_places:
        places = places.scaled(picture.factor_xy)
    elif places:
        what = "the georeferencing" if places.geo else "the physical pixel size"
        notes.append(f"{what} was dropped: {name} cannot store it, TIFF can")
        places = None
    if iptc and not form.has_iptc:
        notes.append(f"IPTC was dropped: {name} cannot store it, JPEG and TIFF can")
        iptc = None
    elif iptc and form is JPEG and jpeg_segment(iptc) is None:
        notes.append("IPTC was dropped: JPEG stores at most 64 KiB of it")
        iptc = None
    return replace(picture, places=places, iptc=iptc), notes


def _if_short(
    block: bytes | None, limit: int | None, complaint: str
) -> tuple[bytes | None, list[str]]:
    if block is None or limit is None or len(block) <= limit:
        return block, []
    fact = f"stores at most {limit} bytes of it" if limit else "cannot store it"
    return None, [f"{complaint} {fact}"]


def _without_profile(picture: Picture, name: str) -> tuple[Picture, str]:
    """Convert the picture to sRGB."""
    assert picture.icc_profile is not None
    plain = replace(picture, icc_profile=None, alpha_hw=None)
    try:
        converted = to_srgb(image_from_picture(plain), picture.icc_profile)
    except ImageCms.PyCMSError:
        note = f"the ICC profile was dropped: {name} cannot store it, and it is damaged"
        return replace(picture, icc_profile=None), note
    if picture.is_grey:
        converted = converted.convert("L").convert("RGB")
    note = f"colours were converted to sRGB: {name} cannot store an ICC profile"
    return replace(picture, rgb_hwc=np.asarray(converted), icc_profile=None), note


def _save(
    pages: list[Picture], form: OutputFormat, settings: OutputSettings, file: io.BytesIO
) -> list[str]:
    """Write pages, and return notes on what the format could not keep."""
    first = pages[0]
    if form is TIFF:
        write_tiff(pages, file)
        return []
    options = save_options(first, form, settings)
    if form is GIF or len(pages) > 1:
        return save_animation(pages, form.pillow_name, file, options)
    if form is PNG:
        write_png(first, [first], file, options)
    else:
        image = image_from_picture(first)
        # Some of Pillow's writers look here, too, for what they are not given.
        image.info.clear()
        image.save(file, form.pillow_name, **options)
    return []


def save_options(picture: Picture, form: OutputFormat, settings: OutputSettings) -> SaveOptions:
    """Return Pillow's arguments, chosen for speed: encoding must keep up with the network."""
    options: SaveOptions = {
        "icc_profile": picture.icc_profile,
        "exif": picture.exif,
        "dpi": picture.dpi if form.has_dpi else None,
    }
    if form is PNG:
        # Pillow's default of 6 takes over three times as long for a fifth of the size.
        options |= {"compress_level": 1, "pnginfo": png_text_chunks(picture)}
    else:
        options |= {"xmp": picture.xmp, "comment": picture.text.get(COMMENT)}
    if form is JPEG:
        # 4:4:4: halving the colours' resolution would undo a part of what was just computed.
        options |= {"quality": settings.quality, "subsampling": 0}
        options["extra"] = jpeg_segment(picture.iptc) if picture.iptc else None
    elif form is WEBP and settings.quality == 100:
        # Here Pillow's quality is effort: more of it takes four times as long for 1 %.
        options |= {"lossless": True, "quality": 20, "method": 1}
    elif form is WEBP:
        options |= {"quality": settings.quality, "method": 2}
    elif form is AVIF:
        options |= {"quality": settings.quality, "subsampling": "4:4:4", "speed": 8}
    return {name: value for name, value in options.items() if value is not None}


def _write(data: io.BytesIO, target: Path) -> None:
    with replacing_target(target) as file:
        file.write(data.getbuffer())


@contextlib.contextmanager
def replacing_target(target: Path) -> Iterator[IO[bytes]]:
    """Open a new file that replaces the target when the block succeeds.

    Raises:
        ImageWriteError: the target's name cannot be taken.
        TargetError: the folder cannot be written, so that no other picture can either.
    """
    try:
        with replacing(target) as file:
            yield file
    except OSError as error:
        raise TargetError(
            f"cannot write to the folder {target.parent}: {error.strerror or error}. "
            "Make room or get permission, or choose another OUTPUT; then run it again"
        ) from error
    except NotReplaced as error:
        # The folder takes files, as the complete one proves: it is this name.
        raise ImageWriteError(
            f"{target.name}: cannot be put in its place: {error}. "
            "Choose another name, or move away what is there"
        ) from error
