from __future__ import annotations

import pytest

from runtime.codecs.kinds import BEGIN_BYTES, refuse_foreign
from runtime.errors import ImageReadError


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
        (b"%PDF-1.7", "a PDF document"),
        (b"P6\n5 5\n255\n", "PNM or PFM"),
        (b"II\x2a\0\x10\0\0\0CR\2\0", "camera raw"),
        (b"\0\0\0\x18ftypcrx ", "camera raw"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github", "Git LFS pointer"),
    ],
)
def test_other_kinds_are_named(begin: bytes, said: str) -> None:
    with pytest.raises(ImageReadError, match=said):
        refuse_foreign(begin.ljust(BEGIN_BYTES, b"\0"))


@pytest.mark.parametrize(
    "begin",
    [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II\x2a\0\x08\0\0\0", b"GIF89a", b"P6_5", b""],
)
def test_pictures_and_the_unknown_pass(begin: bytes) -> None:
    refuse_foreign(begin)
