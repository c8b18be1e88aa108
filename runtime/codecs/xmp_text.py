"""XMP, and the text in PNG, JPEG and GIF files."""

from __future__ import annotations

import re

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from runtime.codecs.formats import OutputFormat
from runtime.codecs.xmp_stale import with_panorama, without_stale
from runtime.image.picture import Picture

_XMP_TAG = 700
COMMENT = "Comment"
"""Key for a comment without a name, as the PNG specification suggests."""

XMP_BROKEN_NOTE = "XMP is damaged and was dropped"
_XMP_KEY = "XML:com.adobe.xmp"
# What other programs hide in text: EXIF and XMP once more, which would contradict the real ones.
_NOT_WORDS = re.compile(r"(?i)xml:com\.adobe\.xmp|raw profile type .*")
_ORIENTATION = "tiff:Orientation"
_WIDTHS = ("tiff:ImageWidth", "exif:PixelXDimension")
_HEIGHTS = ("tiff:ImageLength", "exif:PixelYDimension")


def read_xmp(image: Image.Image) -> tuple[bytes | None, list[str]]:
    """Return the XMP packet of a loaded image, and notes."""
    packet = image.info.get("xmp") or image.info.get(_XMP_KEY) or image.getexif().get(_XMP_TAG)
    if isinstance(packet, str):
        packet = packet.encode("utf-8", errors="replace")
    if not isinstance(packet, bytes) or not packet.strip(b"\0 \r\n"):
        return None, []
    if b":RDF" not in packet:
        return None, [XMP_BROKEN_NOTE]
    return without_stale(packet.rstrip(b"\0"))


def xmp_for(picture: Picture) -> bytes | None:
    """Return the picture's XMP, updated to an upright orientation and the actual size."""
    packet = picture.xmp
    if packet is None:
        return None
    height, width = picture.size_hw
    packet = _with_value(packet, _ORIENTATION, 1)
    for name in _WIDTHS:
        packet = _with_value(packet, name, width)
    for name in _HEIGHTS:
        packet = _with_value(packet, name, height)
    return with_panorama(packet, picture.factor_xy)


def read_text(image: Image.Image) -> dict[str, str]:
    """Return the texts of a loaded image by key."""
    text = getattr(image, "text", None)
    if isinstance(text, dict):
        return {key: value for key, value in text.items() if not _NOT_WORDS.fullmatch(key)}
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        comment = _decoded(comment.rstrip(b"\0"))
    return {COMMENT: comment} if isinstance(comment, str) and comment else {}


def _decoded(comment: bytes) -> str:
    """Decode a comment, whose encoding no file states: if it is not UTF-8, as Latin-1."""
    try:
        return comment.decode("utf-8")
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def text_for(picture: Picture, form: OutputFormat) -> tuple[dict[str, str], list[str]]:
    """Return the texts that a format can hold, and notes on the others."""
    if form.has_text:
        return dict(picture.text), []
    kept = {
        key: value for key, value in picture.text.items() if key == COMMENT and form.has_comment
    }
    lost = [key for key in picture.text if key not in kept]
    if not lost:
        return kept, []
    names = ", ".join(lost[:5]) + (" and more" if len(lost) > 5 else "")
    return kept, [f"text was dropped ({names}): {form.pillow_name} cannot store it, PNG can"]


def png_text_chunks(picture: Picture) -> PngInfo:
    """Return the picture's texts and XMP for Pillow's PNG writer."""
    words = PngInfo()
    if picture.xmp:
        words.add_itxt(_XMP_KEY, picture.xmp.decode("utf-8", errors="replace"))
    for key, value in picture.text.items():
        words.add_text(key, value)
    return words


def _with_value(packet: bytes, name: str, value: int) -> bytes:
    """Replace a number stored as an attribute or element, if present."""
    key, number = re.escape(name.encode()), str(value).encode()
    packet = re.sub(rb"(\b" + key + rb"\s*=\s*[\"'])[^\"'<>]*", rb"\g<1>" + number, packet)
    return re.sub(rb"(<" + key + rb"\s*>)[^<>]*(?=</)", rb"\g<1>" + number, packet)
