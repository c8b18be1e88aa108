"""A decoded picture on its way through the runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(kw_only=True)
class Picture:
    """Upright samples, and what must survive beside them.

    Orientation has been applied: nothing downstream rotates.
    """

    rgb_hwc: Samples
    """(H, W, 3), uint8 or uint16, RGB over the type's full range; grey is repeated."""

    alpha_hw: Samples | None = None
    """(H, W), the same type; None for an opaque picture."""

    is_grey: bool = False
    """The source had one colour channel, and so shall the result."""

    icc_profile: bytes | None = None
    """The colour space of `rgb_hwc`; None means sRGB."""

    exif: bytes | None = None
    """EXIF without its orientation."""

    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontally and vertically."""

    source_format: str = "PNG"
    """Pillow's name of the format it was read from."""

    notes: list[str] = field(default_factory=list)
    """What a person should know, for example that a profile was converted."""
