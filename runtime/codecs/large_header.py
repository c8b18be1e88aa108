"""Reads the header of a large picture, without decoding its samples.

Pillow reads the metadata, as for smaller pictures; here it is only kept from the samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.TiffImagePlugin import TiffImageFile

from runtime.codecs.exif import read_orientation
from runtime.codecs.frames import frames_of
from runtime.codecs.kinds import BEGIN_BYTES, refuse_foreign
from runtime.codecs.leftovers import jpeg_leftovers
from runtime.codecs.limits import quiet_pillow, translated
from runtime.codecs.pil import with_metadata
from runtime.codecs.png_chunks import SIGNATURE
from runtime.codecs.png_header import read_png_header
from runtime.codecs.tiff_layout import ASSOCIATED
from runtime.codecs.tiff_pages import pages_of
from runtime.codecs.tiff_places import with_places
from runtime.codecs.tiff_tags import is_tiff
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.profile import checked_profile
from runtime.image.stated_colours import StatedColours

STRIPPED = ("PNG", "JPEG", "TIFF")
"""Pillow's names of the formats that can be read in strips."""

GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "LA", "La")
"""Pillow's grey modes."""


@dataclass(frozen=True, kw_only=True)
class LargeHeader:
    """Facts needed before a file's samples are read."""

    format_name: str
    """Pillow's format name."""
    size_hw: tuple[int, int]
    """Height and width as stored, before the orientation is applied."""
    orientation: int
    """EXIF orientation, 1 (upright) to 8."""
    is_progressive: bool
    """Whether samples are spread over the file, so that all must be held until the last is read."""
    page: int = 0
    """Page number in a TIFF of several."""
    metadata: Picture
    """One black pixel with the picture's metadata."""


def read_large_header(path: Path) -> LargeHeader:
    """Read a file's header.

    Raises:
        ImageReadError: it is damaged, or of a kind that cannot be read in strips.
    """
    with translated(), quiet_pillow(), path.open("rb") as file:
        start = file.read(BEGIN_BYTES)
        refuse_foreign(start)
        file.seek(0)
        if start.startswith(SIGNATURE):
            return _png(file)
        if start.startswith(b"\xff\xd8\xff"):
            return _jpeg(file)
        if is_tiff(start):
            return _tiff(file)
        raise ImageReadError(
            f"is too large to be read whole, and not one of {', '.join(STRIPPED)}, which are read "
            "in strips: convert it to PNG or TIFF"
        )


def _jpeg(file: IO[bytes]) -> LargeHeader:
    # Finds further pictures, too; Image.open would refuse one of this size.
    image = jpeg_factory(file)
    return _header(image, "JPEG", (*frames_of(image).notes, *jpeg_leftovers(file)))


def _tiff(file: IO[bytes]) -> LargeHeader:
    pages, notes = pages_of(file)
    if len(pages) > 1:
        raise ImageReadError(
            f"has {len(pages)} pages, which are too large to be read whole: "
            "save each as a file of its own"
        )
    (page,) = pages
    layout = page.layout
    if layout.alpha is not None and layout.extra[layout.alpha - layout.colours] == ASSOCIATED:
        raise ImageReadError(
            "its colours are premultiplied with alpha, which cannot be reversed in strips: "
            "save it with unassociated alpha"
        )
    if page.number is None:
        raise ImageReadError(
            "is too large to be read whole, and lies behind a reduced copy (in a sub-directory), "
            "where reading in strips is not supported: save it alone, or allow more with --memory"
        )
    if page.mask or layout.further:
        raise ImageReadError(
            "is too large to be read whole, and a page with a mask or further bands is not read "
            "in strips: save its colours alone, or allow more with --memory"
        )
    try:
        file.seek(0)
        image = TiffImageFile(file)
        image.seek(page.number)
    except (SyntaxError, KeyError) as error:  # Pillow's words for kinds that it does not know
        raise ImageReadError(
            f"is of an unsupported kind ({error}): convert it to grey or RGB of 8 or 16 bits"
        ) from error
    header = _header(image, "TIFF", tuple(notes))
    metadata = with_places(header.metadata, page.table, layout.orientation)
    # Pillow has turned the size upright already.
    return replace(header, size_hw=layout.size_hw, page=page.number, metadata=metadata)


def _header(image: ImageFile.ImageFile, name: str, notes: tuple[str, ...]) -> LargeHeader:
    orientation = read_orientation(image)
    return LargeHeader(
        format_name=name,
        size_hw=(image.height, image.width),
        orientation=orientation,
        is_progressive=bool(image.info.get("progressive")),
        metadata=_metadata(image, name, orientation, notes),
    )


def _png(file: IO[bytes]) -> LargeHeader:
    header = read_png_header(file)
    if header.controls:
        raise ImageReadError("is an animation too large to be read whole: reduce it")
    image = header.image()
    orientation = read_orientation(image)
    return LargeHeader(
        format_name="PNG",
        size_hw=header.size_hw,
        orientation=orientation,
        is_progressive=header.is_interlaced,
        metadata=_metadata(image, "PNG", orientation, header.notes, header.colours),
    )


def _metadata(
    image: ImageFile.ImageFile,
    name: str,
    orientation: int,
    notes: tuple[str, ...],
    colours: StatedColours | None = None,
) -> Picture:
    profile, profile_notes = checked_profile(image, is_grey=image.mode in GREY_MODES)
    pixel = Picture(
        rgb_hwc=np.zeros((1, 1, 3), np.uint8),
        is_grey=image.mode in GREY_MODES,
        icc_profile=profile,
        source_format=name,
        notes=[*notes, *profile_notes],
    )
    return with_metadata(pixel, image, orientation, colours=colours)
