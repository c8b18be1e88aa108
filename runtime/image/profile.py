"""Checks whether embedded ICC profiles match their pictures."""

from __future__ import annotations

from PIL import Image, TiffImagePlugin

_TIFF_PROFILE = 34675
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
"""Profile classes that describe pictures: monitors, scanners, printers and colour spaces."""

_COLOURS = {b"RGB ": "RGB", b"GRAY": "grey", b"CMYK": "CMYK", b"Lab ": "Lab"}


def profile_of(image: Image.Image) -> bytes:
    """Return the ICC profile in an image's metadata; empty if there is none."""
    profile = image.info.get("icc_profile")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Pillow leaves one page's profile to the next.
        profile = image.tag_v2.get(_TIFF_PROFILE)
    return profile if isinstance(profile, bytes) else b""


def checked_profile(image: Image.Image, *, is_grey: bool) -> tuple[bytes | None, list[str]]:
    """Return the ICC profile unless it cannot belong to the picture, and a note if so."""
    profile = profile_of(image)
    wrong = profile_problem(profile, b"GRAY" if is_grey else b"RGB ") if profile else ""
    if not profile or wrong:
        return None, [f"the ICC profile {wrong}, and was dropped"] if wrong else []
    return profile, []


def profile_problem(profile: bytes, wanted: bytes) -> str:
    """Explain why a profile does not match; empty if it does.

    Args:
        profile: its bytes.
        wanted: the colours as ICC names them, four bytes.
    """
    if profile[36:40] != b"acsp":
        return "is damaged"
    if profile[12:16] not in _CLASSES:
        return "describes no picture's colours (it is a link or a list of names)"
    if profile[16:20] == wanted:
        return ""
    found, picture = (_COLOURS.get(kind, "other colours") for kind in (profile[16:20], wanted))
    return f"is for {found}, but the picture is {picture}"
