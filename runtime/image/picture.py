"""A decoded picture on its way through the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from runtime.image.places import Places

Samples: TypeAlias = NDArray[np.uint8 | np.uint16]


def reduce_to_8_bits(samples: Samples) -> NDArray[np.uint8]:
    """The nearest 8-bit values.

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
    """Three equal channels.

    Args:
        grey_hw: (H, W).

    Returns:
        (H, W, 3), the same type.
    """
    return cast(Samples, np.repeat(grey_hw[..., None], 3, axis=2))


def is_deep(picture: Picture) -> bool:
    """Whether its samples have 16 bits."""
    return picture.rgb_hwc.dtype == np.uint16


def with_8_bits(picture: Picture) -> Picture:
    """The nearest picture with 8 bits a sample; further frames or pages stay as they are."""
    alpha = picture.alpha_hw
    return replace(
        picture,
        rgb_hwc=reduce_to_8_bits(picture.rgb_hwc),
        alpha_hw=None if alpha is None else reduce_to_8_bits(alpha),
        notes=list(picture.notes),
    )


def on_white(rgb_hwc: Samples, alpha_hw: Samples) -> Samples:
    """Mix with white in proportion to what alpha leaves open, rounded to nearest.

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

    xmp: bytes | None = None
    """The XMP packet, as it was in the source."""

    iptc: bytes | None = None
    """IPTC-IIM records: captions and keywords of press photographs."""

    places: Places | None = None
    """Where its pixels lie, as a TIFF states it."""

    source_size_hw: tuple[int, int] | None = None
    """Of the picture that XMP, EXIF and `places` speak of; None where they speak of this one."""

    text: Mapping[str, str] = field(default_factory=dict)
    """Words beside the pixels, by key: PNG's text, or a JPEG's or GIF's comment."""

    more: tuple[Picture, ...] = ()
    """Further frames or pages, which have no more of their own."""

    duration_ms: float | None = None
    """How long this frame of an animation is shown; None for a page, or a single picture."""

    plays: int | None = None
    """Of an animation's first frame: how often it is played; 0 for ever."""

    source_format: str = "PNG"
    """Pillow's name of the format it was read from."""

    notes: list[str] = field(default_factory=list)
    """What a person should know, for example that a profile was converted."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb_hwc.shape[0], self.rgb_hwc.shape[1]

    @property
    def factor_xy(self) -> tuple[float, float]:
        """How many times as many pixels it has as what its metadata speak of."""
        source_hw = self.source_size_hw or self.size_hw
        return self.size_hw[1] / source_hw[1], self.size_hw[0] / source_hw[0]

    @property
    def nbytes(self) -> int:
        """Of all samples, alpha and further frames or pages included."""
        alpha = 0 if self.alpha_hw is None else self.alpha_hw.nbytes
        return self.rgb_hwc.nbytes + alpha + sum(page.nbytes for page in self.more)

    def grey_hw(self) -> Samples:
        """One channel for all three: their mean, which a network may have set apart a little.

        Returns:
            (H, W), the type of `rgb_hwc`; exact where the channels are equal.
        """
        red, green, blue = (self.rgb_hwc[..., channel] for channel in range(3))
        total = red.astype(np.uint32) + green + blue
        return cast(Samples, ((total + 1) // 3).astype(self.rgb_hwc.dtype))
