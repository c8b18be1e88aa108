"""A decoded picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from runtime.image.places import Places

Samples: TypeAlias = NDArray[np.uint8 | np.uint16]


def reduce_to_8_bits(samples: Samples) -> NDArray[np.uint8]:
    """Round samples to the nearest 8-bit values.

    Args:
        samples: any shape, uint8 or uint16 over the type's full range.

    Returns:
        The same shape; the argument itself where it is uint8 already.
    """
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    # 65535 = 257 * 255, and 257 is odd: adding half of it rounds to nearest.
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def repeat_grey(grey_hw: Samples) -> Samples:
    """Repeat a grey channel three times.

    Args:
        grey_hw: (H, W).

    Returns:
        (H, W, 3), the same type.
    """
    return cast(Samples, np.repeat(grey_hw[..., None], 3, axis=2))


def is_deep(picture: Picture) -> bool:
    """Return whether samples have 16 bits."""
    return picture.rgb_hwc.dtype == np.uint16


def with_8_bits(picture: Picture) -> Picture:
    """Round a picture to 8 bits; further frames or pages stay as they are."""
    alpha = picture.alpha_hw
    return replace(
        picture,
        rgb_hwc=reduce_to_8_bits(picture.rgb_hwc),
        alpha_hw=None if alpha is None else reduce_to_8_bits(alpha),
        notes=list(picture.notes),
    )


def on_white(rgb_hwc: Samples, alpha_hw: Samples) -> Samples:
    """Blend over white, rounded to nearest.

    Args:
        rgb_hwc: (H, W, 3), uint8 or uint16, over the type's full range.
        alpha_hw: (H, W), the same type.

    Returns:
        (H, W, 3), the same type.
    """
    full = int(np.iinfo(rgb_hwc.dtype).max)
    alpha = alpha_hw[..., None].astype(np.uint32)
    # At most full * full + full / 2, which 32 bits just hold.
    mixed = rgb_hwc * alpha + np.uint32(full) * (full - alpha)
    return cast(Samples, ((mixed + full // 2) // full).astype(rgb_hwc.dtype))


@dataclass(kw_only=True)
class Picture:
    """Upright samples and the metadata to preserve.

    Orientation has been applied: nothing downstream rotates.
    """

    rgb_hwc: Samples
    """(H, W, 3), uint8 or uint16, RGB over the type's full range; grey is repeated."""

    alpha_hw: Samples | None = None
    """(H, W), the same type; None for an opaque picture."""

    is_grey: bool = False
    """Whether the source had one colour channel; the result will, too."""

    icc_profile: bytes | None = None
    """Colour space of `rgb_hwc`; None means sRGB."""

    exif: bytes | None = None
    """EXIF without its orientation."""

    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontally and vertically."""

    xmp: bytes | None = None
    """XMP packet as in the source."""

    iptc: bytes | None = None
    """IPTC-IIM records: captions and keywords of press photographs."""

    places: Places | None = None
    """Georeference and physical pixel size from a TIFF."""

    source_size_hw: tuple[int, int] | None = None
    """Size of the picture that XMP, EXIF and `places` refer to; None if it is this one."""

    text: Mapping[str, str] = field(default_factory=dict)
    """Text by key: PNG's text chunks, or a JPEG's or GIF's comment."""

    more: tuple[Picture, ...] = ()
    """Further frames or pages, which have none of their own."""

    duration_ms: float | None = None
    """Duration of this animation frame; None for a page or single picture."""

    plays: int | None = None
    """Loop count, on an animation's first frame; 0 for ever."""

    source_format: str = "PNG"
    """Pillow's name of the source format."""

    notes: list[str] = field(default_factory=list)
    """Notes for the user, for example that a profile was converted."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb_hwc.shape[0], self.rgb_hwc.shape[1]

    @property
    def factor_xy(self) -> tuple[float, float]:
        """Ratio of its size to the size that its metadata refers to."""
        source_hw = self.source_size_hw or self.size_hw
        return self.size_hw[1] / source_hw[1], self.size_hw[0] / source_hw[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all samples, including alpha and further frames or pages."""
        alpha = 0 if self.alpha_hw is None else self.alpha_hw.nbytes
        return self.rgb_hwc.nbytes + alpha + sum(page.nbytes for page in self.more)

    def grey_hw(self) -> Samples:
        """Return one grey channel: the mean of the three, which a network may have made unequal.

        Returns:
            (H, W), the type of `rgb_hwc`; exact where the channels are equal.
        """
        red, green, blue = (self.rgb_hwc[..., channel] for channel in range(3))
        total = red.astype(np.uint32) + green + blue
        return cast(Samples, ((total + 1) // 3).astype(self.rgb_hwc.dtype))
