"""TIFF descriptions that state the pixel size: OME-XML, ImageJ, tifffile."""

from __future__ import annotations

import re
from functools import partial

_OME = re.compile(r"<(?:\w+:)?OME\b")
_OME_TYPE = re.compile(r'(<(?:\w+:)?Pixels\b[^>]*\bType\s*=\s*["\'])[\w-]+')
OME_NOTE = "dropped: the OME description, which only describes all pages of a TIFF"
IMAGEJ_NOTE = "dropped: ImageJ's description, which only describes all pages of a TIFF"
SHAPE_NOTE = "dropped: a description of the sample layout, which no longer applies"


def is_measured(text: str) -> bool:
    """Return whether a description makes a TIFF's resolution a physical one, not a print size."""
    return text.startswith("ImageJ=") or bool(_OME.search(text))


def description_for(
    text: str, factor_xy: tuple[float, float], *, bits: int, is_complete: bool
) -> tuple[str | None, list[str]]:
    """Return a description valid for the result, or None, and notes.

    Args:
        text: description in the source.
        factor_xy: scale of the result along each axis.
        bits: bits per sample of the result.
        is_complete: the result is a TIFF with all of the source's pages.
    """
    if re.match(r'\s*\{\s*"shape"\s*:', text):
        return None, [SHAPE_NOTE]
    if text.startswith("ImageJ="):
        return (text, []) if is_complete else (None, [IMAGEJ_NOTE])
    if not _OME.search(text):
        return text, []
    if not is_complete:
        return None, [OME_NOTE]
    for axis, factor in zip("XY", factor_xy, strict=True):
        text = _sizes(axis).sub(partial(_multiplied, factor=factor), text)
        text = _lengths(axis).sub(partial(_divided, factor=factor), text)
    return _OME_TYPE.sub(rf"\g<1>uint{bits}", text), []


def _sizes(axis: str) -> re.Pattern[str]:
    return re.compile(rf'(\bSize{axis}\s*=\s*["\'])(\d{{1,9}})(?=["\'])')


def _lengths(axis: str) -> re.Pattern[str]:
    return re.compile(rf'(\bPhysicalSize{axis}\s*=\s*["\'])([0-9.eE+-]{{1,40}})(?=["\'])')


def _multiplied(match: re.Match[str], *, factor: float) -> str:
    return f"{match[1]}{round(int(match[2]) * factor)}"


def _divided(match: re.Match[str], *, factor: float) -> str:
    try:
        return f"{match[1]}{float(match[2]) / factor:.12g}"
    except ValueError:
        return match[0]
