"""Names metadata in a file that results do not hold, so that nothing is lost without a note.

What only describes how the file was coded (quality, tables, thumbnails, suggested palettes) is not
named: it has no meaning for the result.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO

from runtime.codecs.boxes import boxes_in, file_boxes
from runtime.codecs.jpeg_segments import jpeg_segments
from runtime.codecs.png_chunks import Chunks

_CREDENTIALS = "content credentials"
_GAIN_MAP = "a gain map"
_UNKNOWN = "unknown"

_READ_CHUNKS = b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP pHYs eXIf acTL fcTL fdAT".split()
# Significant bits, histogram, suggested palette, time of the last change, viewer's background,
# mastering display, offsets for Apple's parallel decoder.
_CODING_CHUNKS = b"sBIT hIST sPLT tIME bKGD mDCV mDCv cLLI cLLi iDOT".split()
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_CHUNKS = {
    b"caBX": _CREDENTIALS,
    b"dSIG": "digital signature",
    b"oFFs": "position on a page",
    b"pCAL": "calibration",
    b"sCAL": "physical scale",
    b"sTER": "stereo pair",
}
_COMMENT = 0xFE
_APPS = range(0xE0, 0xF0)
_READ_SEGMENTS = (
    (0xE0, b""),  # JFIF and its thumbnails
    (0xE1, b"Exif\0"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0"),  # noted by `xmp_stale`
    (0xE2, b"ICC_PROFILE\0"),
    (0xE2, b"MPF\0"),  # noted by `frames`
    (0xEC, b"Ducky"),  # Photoshop's quality
    (0xED, b"Photoshop 3.0\0"),  # noted by `iptc`
    (0xEE, b"Adobe"),  # how colours are coded
)
_SEGMENTS = (
    (0xE1, b"FLIR\0", "thermal data"),
    (0xE2, b"FPXR\0", "FlashPix"),
    (0xE2, b"urn:iso:std:iso:ts:21496", _GAIN_MAP),
    (0xE3, b"_JPSJPS_", "stereo pair"),
)
_JUMBF = 0xEB
_C2PA = b"c2pa"
"""Beginning of the type of a JUMBF superbox of content credentials."""

_READ_WEBP = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
_WEBP = {b"C2PA": _CREDENTIALS}

_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_AUXILIARY = {
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth": "a depth map",
    b"urn:mpeg:hevc:2015:auxid:2": "a depth map",
    b"urn:com:apple:photo:2020:aux:hdrgainmap": _GAIN_MAP,
}

_READ_EXTENSIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"XMP DataXMP")
_EXTENSIONS = {b"ICCRGBG1012": "ICC profile", b"C2PA_GIF\1\0\0": _CREDENTIALS}


def png_leftovers(chunks: Chunks) -> list[str]:
    """Return notes on chunks that results do not hold."""
    found = [
        f"{chunk.name.decode('ascii', 'replace')} ({_CHUNKS.get(chunk.name, _UNKNOWN)})"
        for chunk in chunks.kept
        if chunk.name not in (*_READ_CHUNKS, *_CODING_CHUNKS, *_TEXT_CHUNKS)
    ]
    texts = (chunk for chunk in chunks.kept if chunk.name in _TEXT_CHUNKS)
    keys = Counter(chunk.content.partition(b"\0")[0] for chunk in texts)
    repeated = [key.decode("latin-1") for key, count in keys.items() if count > 1]
    notes = [f"dropped: all but the last text named {key}" for key in repeated[:3]]
    return _dropped("chunks", found) + notes


def jpeg_leftovers(file: IO[bytes]) -> list[str]:
    """Return notes on segments that results do not hold.

    Args:
        file: a JPEG file, at any place.
    """
    found: list[str] = []
    comments = 0
    for marker, begin in jpeg_segments(file):
        comments += marker == _COMMENT
        is_read = any(marker == app and begin.startswith(key) for app, key in _READ_SEGMENTS)
        if marker in _APPS and not is_read and not _continues(marker, begin):
            found.append(_segment_title(marker, begin))
    notes = ["dropped: all but the last comment"] if comments > 1 else []
    return _dropped("segments", found) + notes


def webp_leftovers(file: IO[bytes]) -> list[str]:
    """Return notes on chunks that results do not hold.

    Args:
        file: a WebP file, at any place.
    """
    found: list[str] = []
    place = 12
    while True:
        file.seek(place)
        begin = file.read(8)
        if len(begin) < 8:
            return _dropped("chunks", found)
        name, size = struct.unpack("<4sI", begin)
        if name not in _READ_WEBP:
            found.append(f"{_printable(name)} ({_WEBP.get(name, _UNKNOWN)})")
        place += 8 + size + size % 2


def box_leftovers(file: IO[bytes]) -> list[str]:
    """Return notes on what results do not hold of an AVIF or HEIC file.

    Args:
        file: at any place.
    """
    found = []
    for name, content in file_boxes(file):
        if name == b"uuid" and content == _C2PA_UUID:
            found.append(_CREDENTIALS)
        elif name == b"meta":
            found += _further_pictures(content)
    return _dropped("", found)


def gif_leftovers(extensions: Iterable[bytes]) -> list[str]:
    """Return notes on application extensions that results do not hold.

    Args:
        extensions: their names with authentication codes, 11 bytes each.
    """
    return _dropped(
        "extensions",
        [
            f"{_printable(name)} ({_EXTENSIONS.get(name, _UNKNOWN)})"
            for name in extensions
            if name not in _READ_EXTENSIONS
        ],
    )


def _continues(marker: int, begin: bytes) -> bool:
    """Return whether a JUMBF segment continues another: such ones are numbered from 1."""
    return marker == _JUMBF and begin.startswith(b"JP") and begin[4:8] != b"\0\0\0\1"


def _segment_title(marker: int, begin: bytes) -> str:
    meaning = _printable(begin) or _UNKNOWN
    if marker == _JUMBF and begin.startswith(b"JP"):
        meaning = _CREDENTIALS if _C2PA in begin else "JUMBF"
    for app, key, text in _SEGMENTS:
        if app == marker and begin.startswith(key):
            meaning = text
    return f"APP{marker - _APPS[0]} ({meaning})"


def _further_pictures(meta: bytes) -> Iterator[str]:
    """Name the auxiliary pictures of a `meta` box, except alpha."""
    for name, content in boxes_in(meta[4:]):
        if name == b"iinf":
            wide = content[0] if content else 0
            items = boxes_in(content[8 if wide else 6 :])
            if any(kind == b"infe" and b"tmap" in item[8:14] for kind, item in items):
                yield _GAIN_MAP
        for inner, properties in boxes_in(content) if name == b"iprp" else ():
            for kind, value in boxes_in(properties) if inner == b"ipco" else ():
                urn = value[4:].partition(b"\0")[0]
                if kind == b"auxC" and urn not in _ALPHA:
                    yield _AUXILIARY.get(urn, f"an auxiliary picture ({_printable(urn)})")


def _printable(content: bytes) -> str:
    """Return the leading printable characters."""
    match = re.match(rb"[\x20-\x7e]{0,40}", content)
    return match[0].decode().strip() if match else ""


def _dropped(what: str, found: list[str]) -> list[str]:
    names = list(dict.fromkeys(found))
    if not names:
        return []
    more = " and more" if len(names) > 5 else ""
    return [f"dropped: {what}{' ' * bool(what)}{', '.join(names[:5])}{more}"]
