"""Decodes a file to one or more upright `Picture`s."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from runtime.codecs.apng import STILL_NOTE, apng_pictures
from runtime.codecs.bmp import ALPHA_NOTE, bmp_image, is_bmp, read_bmp
from runtime.codecs.boxes import FORMATS_OF_BOXES
from runtime.codecs.colour_marks import bits_of_boxes, colours_of_boxes
from runtime.codecs.formats import FORMATS, load_formats
from runtime.codecs.frames import Frames, duration_ms, frames_of, plays_of
from runtime.codecs.gif import gif_pictures, read_gif
from runtime.codecs.kinds import is_jpeg, refuse_foreign, refuse_odd_jpeg
from runtime.codecs.leftovers import box_leftovers, jpeg_leftovers, webp_leftovers
from runtime.codecs.limits import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    check_file,
    naming,
    quiet_pillow,
    refuse_too_large,
    require_heif_support,
    too_many_frames,
    too_many_pixels,
    translated,
)
from runtime.codecs.pil import loaded_picture
from runtime.codecs.png import has_all_samples
from runtime.codecs.png_chunks import SIGNATURE, without_damaged_chunks
from runtime.codecs.png_header import header_of_chunks
from runtime.codecs.tiff_source import tiff_pictures
from runtime.codecs.tiff_tags import is_tiff
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.stated_colours import StatedColours


def decode(path: Path, *, max_pixels: int | None = None) -> Picture:
    """Read one picture.

    Orientation is applied; the ICC profile, EXIF, XMP, DPI and words are kept. Further frames
    or pages are in `Picture.more`.

    Args:
        path: a regular file; the format is detected from its content.
        max_pixels: limit over all frames or pages; by default `MAX_PIXELS`.

    Raises:
        TooManyPixels: it has more.
        ImageReadError: it cannot be read, is damaged, or not a picture; the message begins with
            its name.
    """
    load_formats()
    with naming(path):
        return _decode(_read(path), MAX_PIXELS if max_pixels is None else max_pixels)


def _read(path: Path) -> bytes:
    check_file(path, MAX_FILE_BYTES)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error


def _decode(data: bytes, max_pixels: int) -> Picture:
    with translated():
        refuse_foreign(data)
        require_heif_support(data)
        if is_bmp(data):
            return _bmp(data, max_pixels)
        if is_tiff(data):
            return _joined(*tiff_pictures(data, max_pixels))
        if data.startswith(SIGNATURE):
            return _png(data, max_pixels)
        if is_jpeg(data):
            refuse_odd_jpeg(io.BytesIO(data))
        with quiet_pillow():
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        refuse_too_large(image, max_pixels)
        if image.format == "GIF":
            return _gif(data, image, max_pixels)
        with image:
            with quiet_pillow():
                frames = frames_of(image)
            if image.format == "AVIF":
                image.info["bit_depth"] = bits_of_boxes(io.BytesIO(data))
            # A profile counts more, for decoders and browsers alike.
            with_boxes = image.format in FORMATS_OF_BOXES and not image.info.get("icc_profile")
            colours = colours_of_boxes(io.BytesIO(data)) if with_boxes else None
            pictures = list(_frames(image, frames, max_pixels, colours))
    return _joined(pictures, [*frames.notes, *_leftovers(data, image.format)], frames.plays)


def _leftovers(data: bytes, name: str | None) -> list[str]:
    """Return notes on what results do not hold, by Pillow's name of the format."""
    file = io.BytesIO(data)
    if name == "WEBP":
        return webp_leftovers(file)
    return box_leftovers(file) if name in FORMATS_OF_BOXES else jpeg_leftovers(file)


def _png(data: bytes, max_pixels: int) -> Picture:
    data, chunks = without_damaged_chunks(data)
    header = header_of_chunks(chunks)
    pixels = header.size_hw[0] * header.size_hw[1]
    if pixels > max_pixels:
        raise too_many_pixels(header.size_hw, max_pixels)
    if header.controls:
        if len(header.controls) * pixels > max_pixels:
            raise too_many_frames(len(header.controls), max_pixels)
        still_note = [STILL_NOTE] if header.has_still else []
        pictures = list(apng_pictures(data, chunks, header))
        return _joined(pictures, [*header.notes, *still_note], header.plays)
    # Pillow would fill up with black and say nothing.
    if not has_all_samples(data):
        raise ImageReadError("is damaged (its samples end early): export it again")
    with quiet_pillow():
        image = Image.open(io.BytesIO(data), formats=("PNG",))
    with image:
        return _joined([loaded_picture(image, data, colours=header.colours)], header.notes)


def _gif(data: bytes, image: Image.Image, max_pixels: int) -> Picture:
    gif = read_gif(io.BytesIO(data))
    largest = max((frame.size_hw for frame in gif.frames), key=lambda hw: hw[0] * hw[1])
    for size_hw in (gif.size_hw, largest):
        if size_hw[0] * size_hw[1] > max_pixels:
            raise too_many_pixels(size_hw, max_pixels)
    if len(gif.frames) * gif.size_hw[0] * gif.size_hw[1] > max_pixels:
        raise too_many_frames(len(gif.frames), max_pixels)
    plays = plays_of(image) if len(gif.frames) > 1 else None
    with image:
        return _joined(list(gif_pictures(data, gif, image)), gif.notes, plays)


def _bmp(data: bytes, max_pixels: int) -> Picture:
    bmp = read_bmp(data)
    if bmp.size_hw[0] * bmp.size_hw[1] > max_pixels:
        raise too_many_pixels(bmp.size_hw, max_pixels)
    image, notes = bmp_image(data, bmp)
    image.format = "BMP"
    place, length = bmp.profile_at
    image.info |= {"dpi": bmp.dpi, "icc_profile": data[place : place + length]}
    picture = loaded_picture(image, colours=bmp.colours)
    notes = [*picture.notes, *notes]
    if picture.alpha_hw is not None and not picture.alpha_hw.any():
        picture, notes = replace(picture, alpha_hw=None), [*notes, ALPHA_NOTE]
    return replace(picture, notes=notes)


def _joined(pictures: list[Picture], notes: Sequence[str], plays: int | None = None) -> Picture:
    """Return the first picture with the others as its further frames or pages."""
    first, *more = pictures
    of_pages = dict.fromkeys(note for page in pictures for note in page.notes)
    return replace(first, more=tuple(more), plays=plays, notes=[*of_pages, *notes])


def _frames(
    image: Image.Image, frames: Frames, max_pixels: int, colours: StatedColours | None
) -> Iterator[Picture]:
    pixels = 0
    for number in frames.numbers:
        if len(frames.numbers) > 1 or number:
            with quiet_pillow():
                image.seek(number)
        pixels += image.width * image.height
        if pixels > max_pixels:
            raise too_many_frames(len(frames.numbers), max_pixels)
        picture = loaded_picture(image, colours=colours)
        yield replace(picture, duration_ms=None if frames.plays is None else duration_ms(image))
