"""Reads a file's size and kind from its header, without decoding samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image

from runtime.codecs.bmp import HEADER_BYTES, Bmp, is_bmp, read_bmp
from runtime.codecs.boxes import FORMATS_OF_BOXES
from runtime.codecs.colour_marks import colours_of_boxes
from runtime.codecs.exif import read_orientation
from runtime.codecs.formats import FORMATS, load_formats
from runtime.codecs.frames import frames_of
from runtime.codecs.gif import is_gif, read_gif
from runtime.codecs.kinds import is_jpeg, refuse_foreign, refuse_odd_jpeg
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
from runtime.codecs.png_chunks import SIGNATURE
from runtime.codecs.png_header import read_png_header
from runtime.codecs.tiff_pages import pages_of
from runtime.codecs.tiff_source import check_pixels
from runtime.codecs.tiff_tags import is_tiff
from runtime.errors import ImageReadError
from runtime.image.colour import check_kind, raw_mode


@dataclass(frozen=True, kw_only=True)
class Outline:
    """Facts from a file's header about the decoded picture."""

    size_hw: tuple[int, int]
    """Height and width of the upright picture."""
    frames: int
    """Number of frames or pages."""
    has_alpha: bool
    is_deep: bool
    """Whether samples have 16 bits."""
    format: str
    """Pillow's name of the file format."""


def read_outline(path: Path, *, max_pixels: int | None = None) -> Outline:
    """Read a file's facts from its header alone.

    Args:
        path: a regular file; the format is detected from its content.
        max_pixels: limit over all frames of an animation; by default `MAX_PIXELS`.

    Raises:
        TooManyPixels: it has more.
        ImageReadError: the header cannot be read; what comes after it may still be damaged.
    """
    load_formats()
    with naming(path):
        check_file(path, MAX_FILE_BYTES)
        outline = _outline(path, max_pixels)
        if not all(outline.size_hw):
            raise ImageReadError("is damaged (it has no pixels): copy or export it again")
        return outline


def _outline(path: Path, max_pixels: int | None) -> Outline:
    with translated(), quiet_pillow(), path.open("rb") as file:
        begin = file.read(HEADER_BYTES)
        refuse_foreign(begin)
        require_heif_support(begin)
        limit = MAX_PIXELS if max_pixels is None else max_pixels
        if is_tiff(begin):
            return _of_pages(file, limit)
        if is_bmp(begin):
            return _of_bmp(read_bmp(begin), limit)
        if begin.startswith(SIGNATURE):
            return _of_png(file, limit)
        if is_jpeg(begin):
            refuse_odd_jpeg(file)
        file.seek(0)
        image = Image.open(file, formats=FORMATS)
        refuse_too_large(image, limit)
        if is_gif(begin):
            return _of_gif(file, limit)
        if image.format in FORMATS_OF_BOXES and not image.info.get("icc_profile"):
            colours_of_boxes(file)
        raw = raw_mode(image)
        check_kind(image, raw)
        sideways = read_orientation(image) >= 5
        frames = frames_of(image)
        count = len(frames.numbers)
        # Pages may be smaller than the first; frames of an animation are all alike.
        if frames.plays is not None and count * image.width * image.height > limit:
            raise too_many_frames(count, limit)
        return Outline(
            size_hw=(image.width, image.height) if sideways else (image.height, image.width),
            frames=count,
            has_alpha=image.has_transparency_data,
            is_deep=";16" in raw or image.mode.startswith("I"),
            format=image.format or "PNG",
        )


def _of_pages(file: IO[bytes], max_pixels: int) -> Outline:
    pages, _ = pages_of(file)
    check_pixels(pages, max_pixels)
    return Outline(
        size_hw=pages[0].layout.upright_hw,
        frames=len(pages),
        has_alpha=pages[0].has_alpha,
        is_deep=pages[0].layout.is_deep,
        format="TIFF",
    )


def _of_png(file: IO[bytes], max_pixels: int) -> Outline:
    header = read_png_header(file)
    height, width = header.size_hw
    if height * width > max_pixels:
        raise too_many_pixels(header.size_hw, max_pixels)
    frames = len(header.controls) or 1
    if frames * height * width > max_pixels:
        raise too_many_frames(frames, max_pixels)
    sideways = read_orientation(header.image()) >= 5
    return Outline(
        size_hw=(width, height) if sideways else (height, width),
        frames=frames,
        has_alpha=header.has_alpha,
        is_deep=header.is_deep,
        format="PNG",
    )


def _of_gif(file: IO[bytes], max_pixels: int) -> Outline:
    gif = read_gif(file)
    if len(gif.frames) * gif.size_hw[0] * gif.size_hw[1] > max_pixels:
        raise too_many_frames(len(gif.frames), max_pixels)
    return Outline(
        size_hw=gif.size_hw,
        frames=len(gif.frames),
        has_alpha=gif.has_alpha,
        is_deep=False,
        format="GIF",
    )


def _of_bmp(bmp: Bmp, max_pixels: int) -> Outline:
    if bmp.size_hw[0] * bmp.size_hw[1] > max_pixels:
        raise too_many_pixels(bmp.size_hw, max_pixels)
    return Outline(
        size_hw=bmp.size_hw, frames=1, has_alpha=bmp.has_alpha, is_deep=False, format="BMP"
    )
