"""From a file to an upright `Picture`, or several."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from runtime.codecs.formats import FORMATS, load_formats
from runtime.codecs.frames import Frames, duration_ms, frames_of
from runtime.codecs.limits import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    check_file,
    naming,
    quiet_pillow,
    refuse_too_large,
    say_what_heif_needs,
    too_many_frames,
    translated,
)
from runtime.codecs.pil import loaded_picture
from runtime.codecs.png import has_all_samples
from runtime.codecs.tiff_source import tiff_pictures
from runtime.codecs.tiff_tags import is_tiff
from runtime.errors import ImageReadError
from runtime.image.picture import Picture


def decode(path: Path, *, max_pixels: int | None = None) -> Picture:
    """Read one picture.

    Orientation is applied; the ICC profile, EXIF, XMP, DPI and words are kept. Further frames
    or pages are in `Picture.more`.

    Args:
        path: a regular file, whatever its name says of the format.
        max_pixels: that it may have, all frames or pages counted; `MAX_PIXELS` where None.

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
        say_what_heif_needs(data)
        if is_tiff(data):
            return _joined(*tiff_pictures(data, max_pixels))
        with quiet_pillow():
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        refuse_too_large(image, max_pixels)
        with image:
            with quiet_pillow():
                frames = frames_of(image)
                if image.format == "PNG":
                    # Loading would not look at checksums, nor notice damage that still inflates.
                    Image.open(io.BytesIO(data), formats=("PNG",)).verify()
                    if not has_all_samples(data):
                        raise ImageReadError("is damaged (its samples end early): export it again")
            pictures = list(_frames(image, data, frames, max_pixels))
    return _joined(pictures, frames.notes, frames.plays)


def _joined(pictures: list[Picture], notes: Sequence[str], plays: int | None = None) -> Picture:
    """One picture with the others as its further frames or pages."""
    first, *more = pictures
    of_pages = dict.fromkeys(note for page in pictures for note in page.notes)
    return replace(first, more=tuple(more), plays=plays, notes=[*of_pages, *notes])


def _frames(image: Image.Image, data: bytes, frames: Frames, max_pixels: int) -> Iterator[Picture]:
    pixels = 0
    for number in frames.numbers:
        if len(frames.numbers) > 1 or number:
            with quiet_pillow():
                image.seek(number)
        pixels += image.width * image.height
        if pixels > max_pixels:
            raise too_many_frames(len(frames.numbers), max_pixels)
        is_single = image.format == "PNG" and frames.plays is None
        picture = loaded_picture(image, data, is_single=is_single)
        yield replace(picture, duration_ms=None if frames.plays is None else duration_ms(image))
