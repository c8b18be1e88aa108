"""EXIF that remains valid for the upscaled picture.

What describes the photograph (camera, time, place, author) is kept. What describes the file it
came from (orientation, strips, compression, thumbnail) would be wrong in the result, and some
tags, such as a JPEG's ImageWidth, would even break a TIFF that is written with them. The
resolution travels by itself, as `Picture.dpi`.
"""

from __future__ import annotations

from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from runtime.codecs.descriptions import description_for
from runtime.image.picture import Picture

KEPT_TAGS = frozenset(
    {
        *(Base.DocumentName, Base.ImageDescription, Base.Make, Base.Model, Base.Software),
        *(Base.DateTime, Base.Artist, Base.HostComputer, Base.Copyright),
        *(Base.Rating, Base.RatingPercent),
        *(Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject),
        *(IFD.Exif, IFD.GPSInfo),
    }
)
"""Tags of the main table that describe the photograph."""

_BLOCKS = (IFD.Exif, IFD.GPSInfo)
"""Tags that point to nested tables."""

BROKEN_NOTE = "EXIF is damaged and was dropped"


class _Raw(str):
    """A text of EXIF, each character one byte, which Pillow decodes so, but encodes as ASCII."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the bytes that were in the file, whatever their encoding."""
        return super().encode("latin-1", "replace")


def as_read(value: Any) -> Any:
    """Return a tag's value, or a nested table, whose texts Pillow writes as it read them."""
    if isinstance(value, str):
        return _Raw(value)
    if isinstance(value, dict):
        return {tag: as_read(one) for tag, one in value.items()}
    return value


def _to_bytes(block: Image.Exif) -> bytes:
    """Serialize a block, which is not changed, with its texts as they were read."""
    written = Image.Exif()
    written.endian = block.endian
    for tag in block:
        value = block[tag]
        if tag in _BLOCKS:
            value = dict(block.get_ifd(tag))
            if IFD.Interop in value:
                value[IFD.Interop] = block.get_ifd(IFD.Interop)
        written[tag] = as_read(value)
    return written.tobytes()


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 if missing or invalid.

    Pillow turns TIFF upright itself, so this is to be called after `image.load()`.
    """
    try:
        orientation = image.getexif().get(Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - Pillow lets every kind out of a damaged block
        return 1
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return orientation if valid else 1


def read_exif(image: Image.Image) -> tuple[bytes | None, list[str]]:
    """Return the EXIF worth keeping, and notes.

    Args:
        image: loaded; not changed.

    Returns:
        A block that begins with `Exif`, or None where there is nothing to keep.
    """
    try:
        block = image.getexif()
        if not block:
            # Pillow gives an empty block for bytes that it cannot make sense of.
            return None, [BROKEN_NOTE] if image.info.get("exif") else []
        kept = Image.Exif()
        kept.load(_to_bytes(block))
        for tag in list(kept):
            if tag not in KEPT_TAGS or (tag in _BLOCKS and not block.get_ifd(tag)):
                del kept[tag]
        return (_to_bytes(kept) if kept else None), []
    except Exception:  # noqa: BLE001 - Pillow lets every kind out of a damaged block
        return None, [BROKEN_NOTE]


def read_exif_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution in EXIF, for formats that store it nowhere else."""
    try:
        block = image.getexif()
        per_inch = {2: 1.0, 3: 2.54}[block.get(Base.ResolutionUnit, 2)]
        return float(block[Base.XResolution]) * per_inch, float(block[Base.YResolution]) * per_inch
    except Exception:  # noqa: BLE001 - Pillow lets every kind out of a damaged block
        return None


def exif_for(
    picture: Picture, *, with_dpi: bool = False, is_tiff: bool = False
) -> tuple[bytes | None, list[str]]:
    """Return the picture's EXIF with its actual pixel dimensions, and notes.

    Args:
        picture: the picture.
        with_dpi: state the resolution here, for the format has no other place for it.
        is_tiff: the result holds all pages, of which descriptions may tell.
    """
    dpi = picture.dpi if with_dpi else None
    if picture.exif is None and dpi is None:
        return None, []
    try:
        block = Image.Exif()
        if picture.exif is not None:
            block.load(picture.exif)
        if dpi:
            block[Base.XResolution], block[Base.YResolution] = (
                IFDRational(round(value * 1000), 1000) for value in dpi
            )
            block[Base.ResolutionUnit] = 2
        notes = _describe(block, picture, is_tiff=is_tiff)
        # Asked for where there is none, Pillow writes an empty one.
        details = block.get_ifd(IFD.Exif) if IFD.Exif in block else {}
        for tag, size_px in zip(
            (Base.ExifImageHeight, Base.ExifImageWidth), picture.size_hw, strict=True
        ):
            if tag in details:
                details[tag] = size_px
        return _to_bytes(block), notes
    except Exception:  # noqa: BLE001 - Pillow lets every kind out of a damaged block
        return None, [BROKEN_NOTE]


def _describe(block: Image.Exif, picture: Picture, *, is_tiff: bool) -> list[str]:
    """Update the description to the picture, and list what is dropped."""
    text = block.get(Base.ImageDescription)
    if not isinstance(text, str):
        return []
    described, notes = description_for(
        text,
        picture.factor_xy,
        bits=8 * picture.rgb_hwc.itemsize,
        is_complete=is_tiff,
    )
    if described is None:
        del block[Base.ImageDescription]
    else:
        block[Base.ImageDescription] = described
    return notes
