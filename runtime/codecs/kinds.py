"""Recognizes files of unsupported kinds by their first bytes."""

from __future__ import annotations

from typing import IO

from runtime.codecs.jpeg_segments import jpeg_segments
from runtime.errors import ImageReadError

BEGIN_BYTES = 32
"""Number of leading bytes needed."""

_STARTS = {
    b"\0\0\1\0": "an icon (ICO)",
    b"\0\0\2\0": "a cursor (CUR)",
    b"8BPS": "a Photoshop document (PSD)",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"gimp xcf": "a GIMP document (XCF)",
    b"%PDF": "a PDF document",
    b"<svg": "a drawing (SVG)",
    b"II\xbc\x01": "JPEG XR",
    b"FLIF": "FLIF",
    b"BPG\xfb": "BPG",
    b"SIMPLE  =": "FITS",
    b"\x8aMNG": "MNG",
    b"\x8bJNG": "JNG",
}
_CAMERAS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0", b"FOVb", b"\0MRM")
_CANON = b"CR\2"
_WORDS = {
    b"<!doctype html": "a web page, perhaps a failed download",
    b"<html": "a web page, perhaps a failed download",
    b"version https://git-lfs": "a Git LFS pointer, whose file was not downloaded",
}
_PORTABLE = tuple(b"P%d" % number for number in range(1, 8))


class KindNotRead(ImageReadError):
    """A file is no picture, or of a kind that is not read; nothing says that it is damaged."""


_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_LS = 0xF7


def is_jpeg(begin: bytes) -> bool:
    """Return whether a file's first bytes are those of a JPEG."""
    return begin.startswith(b"\xff\xd8\xff")


def refuse_odd_jpeg(file: IO[bytes]) -> None:
    """Refuse JPEGs of kinds that Pillow does not recognize.

    Raises:
        KindNotRead: its samples are not 8-bit, or it is JPEG-LS.
    """
    for marker, begin in jpeg_segments(file):
        if marker == _JPEG_LS:
            raise KindNotRead("is JPEG-LS, which is not supported: save it as PNG or TIFF")
        if marker in _JPEG_FRAMES and begin:
            if begin[0] != 8:
                raise KindNotRead(
                    f"is JPEG of {begin[0]} bits per sample, which is not supported: save it as "
                    "PNG or TIFF of 16 bits"
                )
            return


def refuse_foreign(begin: bytes) -> None:
    """Refuse a file of a recognized other kind, naming it.

    Args:
        begin: at least the first `BEGIN_BYTES` of the file.

    Raises:
        KindNotRead: it is.
    """
    is_canon = begin[:2] == b"II" and begin[8:11] == _CANON
    if begin.startswith(_CAMERAS) or begin[4:12] == b"ftypcrx " or is_canon:
        raise KindNotRead(
            "is a camera raw file: develop it with a raw converter, and save it as TIFF of 16 bits"
        )
    for start, name in _STARTS.items():
        if begin.startswith(start):
            raise KindNotRead(f"is {name}, which is not supported: save it as PNG or TIFF")
    if begin.startswith(_PORTABLE) and begin[2:3].isspace():
        raise KindNotRead("is PNM or PFM, which is not supported: save it as PNG or TIFF")
    lowered = begin.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for start, name in _WORDS.items():
        if lowered.startswith(start):
            raise KindNotRead(f"is {name}: get the picture itself")
