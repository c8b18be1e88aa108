"""Colours that a file states numerically, and equivalent ICC profiles.

The numbers are those of ITU-T H.273 (cICP of PNG, nclx of AVIF and HEIC), of PNG's gAMA and cHRM,
and of Adobe RGB (1998), which cameras mark in EXIF alone. Grey profiles become RGB ones here, too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ImageReadError

Chromaticities: TypeAlias = tuple[float, float, float, float, float, float, float, float]
"""The x and y of white, red, green and blue."""

Curve: TypeAlias = tuple[float, ...]
"""Transfer curve from samples to light: an exponent; or g, a, b, c, d of ICC's parametric curve
type 3, which is (a X + b)^g from d on, and c X below.
"""

_D65, _C, _DCI = (0.3127, 0.329), (0.31, 0.316), (0.314, 0.351)
_BT709: Chromaticities = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_PRIMARIES: dict[int, Chromaticities] = {
    1: _BT709,
    2: _BT709,  # not specified, for which everybody takes these
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (*_DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
_SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099297, 0.099297 / 1.099297, 1 / 4.5, 0.081243)
_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 11, 12, 14, 15), _BT709_CURVE),
    2: _SRGB_CURVE,  # not specified
    4: (2.2,),
    5: (2.8,),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0913),
    8: (1.0,),
    13: _SRGB_CURVE,
}
_HDR = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True, kw_only=True)
class StatedColours:
    """Colours that a file states without a profile."""

    by: str
    """Human-readable name of what states them."""
    chromaticities: Chromaticities = _BT709
    curve: Curve = _SRGB_CURVE
    overrides_profile: bool = False
    """Whether they take precedence over a profile in the same file."""

    @property
    def is_srgb(self) -> bool:
        """Whether these are sRGB, which needs no profile; a gamma of 1 / 2.2 counts too."""
        same = all(
            abs(one - other) < 0.0015
            for one, other in zip(self.chromaticities, _BT709, strict=True)
        )
        nearly = len(self.curve) == 1 and abs(self.curve[0] - 2.2) < 0.01
        return same and (self.curve == _SRGB_CURVE or nearly)

    def profile(self, *, is_grey: bool) -> bytes:
        """Build an equivalent ICC version 4 profile."""
        return _profile(self, is_grey=is_grey)


ADOBE_RGB = StatedColours(
    by="EXIF (Adobe RGB)",
    chromaticities=(*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
    curve=(563 / 256,),
)


SRGB = StatedColours(by="sRGB")


def colours_of_cicp(
    primaries: int, transfer: int, *, by: str, overrides_profile: bool = False
) -> StatedColours:
    """Return the colours for code points of H.273.

    Args:
        primaries: ColourPrimaries.
        transfer: TransferCharacteristics.
        by: human-readable name of what states them.
        overrides_profile: see `StatedColours`.

    Raises:
        ImageReadError: they mean HDR, or nothing that a profile can say.
    """
    if transfer in _HDR:
        raise ImageReadError(
            f"its colours are HDR ({_HDR[transfer]}, by {by}), which is not supported: export it "
            "as SDR, for example sRGB or Display P3"
        )
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        raise ImageReadError(
            f"its colours ({by}: primaries {primaries}, transfer {transfer}) are not supported: "
            "convert it to sRGB"
        )
    return StatedColours(
        by=by,
        chromaticities=_PRIMARIES[primaries],
        curve=_CURVES[transfer],
        overrides_profile=overrides_profile,
    )


def rgb_profile_of(grey_profile: bytes) -> bytes | None:
    """Return an RGB profile that shows grey as a grey profile does; None if that has no curve.

    Its primaries, which grey never shows, are sRGB's.
    """
    curve = _grey_curve(grey_profile)
    if curve is None:
        return None
    return _written("The curve of a grey profile", _BT709, curve, is_grey=False)


def _grey_curve(profile: bytes) -> bytes | None:
    """Return the curve from grey to light of a profile, as it is in the file."""
    if profile[20:24] != b"XYZ ":
        return None  # to lightness instead
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for number in range(count):
            name, place, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
            if name == b"kTRC" and place + length <= len(profile):
                return profile[place : place + length]
    except struct.error:
        pass
    return None


def _profile(stated: StatedColours, *, is_grey: bool) -> bytes:
    name = f"Colours stated by {stated.by}"
    return _written(name, stated.chromaticities, _curve(stated.curve), is_grey=is_grey)


def _written(name: str, chromaticities: Chromaticities, curve: bytes, *, is_grey: bool) -> bytes:
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _xyz(_D50),
    }
    white = _light(*chromaticities[:2])
    adaptation = _adaptation(white)
    tags[b"chad"] = b"sf32" + bytes(4) + _fixed(*adaptation.ravel())
    if is_grey:
        tags[b"kTRC"] = curve
    else:
        columns = adaptation @ _matrix(chromaticities)
        for letter, column in zip(b"rgb", columns.T, strict=True):
            tags[bytes([letter]) + b"XYZ"] = _xyz(column)
            tags[bytes([letter]) + b"TRC"] = curve
    place = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        directory += struct.pack(">4sII", tag, place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s6H4s",
        *(place + len(body), b"", 0x04300000, b"mntr", b"GRAY" if is_grey else b"RGB ", b"XYZ "),
        *(2026, 1, 1, 0, 0, 0),
        b"acsp",
    )
    header += bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + directory + body


_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _light(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _matrix(chromaticities: Chromaticities) -> NDArray[np.float64]:
    """Return the matrix from RGB to XYZ, with white at Y = 1."""
    points = [chromaticities[at : at + 2] for at in range(0, 8, 2)]
    white, *primaries = (_light(*point) for point in points)
    columns = np.stack(primaries, axis=1)
    return columns * np.linalg.solve(columns, white)


def _adaptation(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Bradford adaptation from a white point to D50."""
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _curve(curve: Curve) -> bytes:
    return b"para" + struct.pack(">IHH", 0, 3 if len(curve) > 1 else 0, 0) + _fixed(*curve)


def _text(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(content), 28) + content
