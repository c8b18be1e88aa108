"""IPTC-IIM, the captions and keywords of press photographs, in JPEG and TIFF."""

from __future__ import annotations

import struct

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

IPTC_TAG = 33723
_RESOURCES_TAG, _LAYERS_TAG = 34377, 37724
_IPTC_RESOURCE = 0x0404
_PATHS = range(2000, 2998)
_MAX_SEGMENT_BYTES = 65_533
_APP13 = 0xED
_UNDEFINED = 7


def read_iptc(image: Image.Image) -> tuple[bytes | None, list[str]]:
    """Return an image's IPTC records, and notes on other Photoshop resources.

    Args:
        image: loaded or not.
    """
    notes = []
    content = b""
    if isinstance(image, TiffImageFile):
        resources = _resources(_bytes(image, _RESOURCES_TAG))
        content = _bytes(image, IPTC_TAG)
        if _LAYERS_TAG in image.tag_v2:
            notes.append("dropped: Photoshop's layers")
    else:
        resources = image.info.get("photoshop") or {}
    content = content or resources.get(_IPTC_RESOURCE, b"")
    if any(key in _PATHS for key in resources):
        notes.append("dropped: Photoshop's paths")
    # Every record begins with this byte.
    is_iptc = isinstance(content, bytes) and content.startswith(b"\x1c")
    return (content if is_iptc else None), notes


def _bytes(image: TiffImageFile, tag: int) -> bytes:
    """Return a tag's bytes, which some programs store as long integers."""
    tags = image.tag_v2
    if tag in tags:
        # Pillow decodes a value when it is first asked for, and keeps one of several integers.
        tags.tagtype[tag] = _UNDEFINED
    value = tags.get(tag, b"")
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], bytes):
        return value[0]  # Pillow's answer for a type that it does not expect
    return value if isinstance(value, bytes) else b""


def _resources(content: bytes) -> dict[int, bytes]:
    """Return Photoshop's image resources by number."""
    found: dict[int, bytes] = {}
    at = 0
    while content[at : at + 4] == b"8BIM" and at + 12 <= len(content):
        (number,) = struct.unpack_from(">H", content, at + 4)
        # A name with its length, of an even number of bytes together.
        at += 6 + (content[at + 6] + 2) // 2 * 2
        if at + 4 > len(content):
            break
        (size,) = struct.unpack_from(">I", content, at)
        found[number] = content[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2
    return found


def jpeg_segment(iptc: bytes) -> bytes | None:
    """Return the records as a JPEG segment; None if they are too long."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    content = b"Photoshop 3.0\0" + resource + bytes(len(iptc) % 2)
    if len(content) > _MAX_SEGMENT_BYTES:
        return None
    return struct.pack(">BBH", 0xFF, _APP13, 2 + len(content)) + content
