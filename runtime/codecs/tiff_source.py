"""Reads the pages of a TIFF file as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from runtime.codecs.libtiff import libtiff_notes
from runtime.codecs.limits import quiet_pillow, too_many_frames, too_many_pixels
from runtime.codecs.pil import channels_picture, loaded_picture
from runtime.codecs.tiff_layout import CMYK, Layout
from runtime.codecs.tiff_pages import Page, pages_of
from runtime.codecs.tiff_places import with_places
from runtime.codecs.tiff_samples import FLOAT_NOTE, read_samples
from runtime.codecs.tiff_tags import Table, single_page_tiff
from runtime.errors import ImageReadError
from runtime.image.colour import channels_of_samples
from runtime.image.picture import Picture, is_deep

_SAMPLES_BYTES_PER_PX = 64
"""Maximum bytes per pixel over all channels of a page."""

# Instead of a page's own samples: one grey pixel, so that Pillow reads the other tags.
_NO_SAMPLES = {256: (1,), 257: (1,), 258: (8,), 259: (1,), 262: (1,), 273: (0,), 277: (1,)}
_NO_SAMPLES |= {278: (1,), 279: (1,)}
_LEFT_OUT = dict.fromkeys((254, 266, 274, 284, 317, 320, 322, 323, 324, 325, 338, 339, 529, 530))


def tiff_pictures(data: bytes, max_pixels: int) -> tuple[list[Picture], list[str]]:
    """Read all pages that are pictures, upright, and notes on the others.

    Raises:
        TooManyPixels: they have more than `max_pixels` together.
        ImageReadError: one is damaged, or of a kind that is not read.
    """
    pages, notes = pages_of(io.BytesIO(data))
    check_pixels(pages, max_pixels)
    return list(_pictures(data, pages)), notes


def check_pixels(pages: list[Page], max_pixels: int) -> None:
    """Refuse pages with more than `max_pixels` in all.

    Raises:
        TooManyPixels: they have more.
    """
    height, width = pages[0].layout.size_hw
    if height * width > max_pixels:
        raise too_many_pixels((height, width), max_pixels)
    if sum(page.layout.size_hw[0] * page.layout.size_hw[1] for page in pages) > max_pixels:
        raise too_many_frames(len(pages), max_pixels)
    for page in pages:
        if sum(page.layout.bits) > 8 * _SAMPLES_BYTES_PER_PX:
            raise ImageReadError(
                f"has {len(page.layout.bits)} bands: save three of them as a picture of its own"
            )


def _pictures(data: bytes, pages: list[Page]) -> Iterator[Picture]:
    for page in pages:
        picture = _ours(data, page) if page.layout.is_ours else _pillows(data, page)
        if further := page.layout.further:
            picture.notes.append(f"dropped: bands besides colours and alpha ({further})")
        picture = with_places(picture, page.table, page.layout.orientation)
        if page.mask and picture.alpha_hw is None:
            picture = _masked(picture, data, page.mask)
        yield picture


def _ours(data: bytes, page: Page) -> Picture:
    samples = read_samples(data, page.table, page.layout)
    with _opened(single_page_tiff(data, page.table, {**_NO_SAMPLES, **_LEFT_OUT})) as image:
        channels = channels_of_samples(image, samples, is_cmyk=page.layout.photometric == CMYK)
        picture = channels_picture(channels, image, page.layout.orientation)
    if page.layout.is_float:
        picture.notes.append(FLOAT_NOTE)
    return picture


def _pillows(data: bytes, page: Page) -> Picture:
    whole = page.number == 0 and not (page.table.is_big and page.table.order == ">")
    whole = whole and set(page.layout.formats) == {1}
    # All formats that come this way are unsigned, but Pillow insists on the number for it.
    content = data if whole else single_page_tiff(data, page.table, {339: None})
    with libtiff_notes() as notes, _opened(content, page.layout) as image:
        picture = loaded_picture(image)
    return replace(picture, notes=[*picture.notes, *notes])


def _opened(data: bytes, layout: Layout | None = None) -> TiffImageFile:
    try:
        with quiet_pillow():
            return TiffImageFile(io.BytesIO(data))
    except (SyntaxError, KeyError) as error:  # Pillow's words for kinds that it does not know
        raise ImageReadError(
            f"is TIFF of an unsupported kind ({layout or error}): convert it to grey or RGB of 8 "
            "or 16 bits"
        ) from error


def _masked(picture: Picture, data: bytes, mask: Table) -> Picture:
    """Use a mask, in which 1 is opaque, as the picture's alpha."""
    with _opened(single_page_tiff(data, mask, {262: (1,), 254: None})) as image:
        picture_of_mask = loaded_picture(image)
    alpha = picture_of_mask.rgb_hwc[..., 0]
    if alpha.shape != picture.size_hw:  # only one of the two is turned
        note = "dropped: a transparency mask whose orientation differs from its page's"
        return replace(picture, notes=[*picture.notes, note])
    if is_deep(picture):
        alpha = alpha.astype(np.uint16) * 257
    return replace(picture, alpha_hw=np.ascontiguousarray(alpha))
