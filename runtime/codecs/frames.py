"""Animations and files of several pages: which frames are taken, and how long each is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from PIL import Image

from runtime.image.picture import Picture, is_deep, with_8_bits

ANIMATED = ("WEBP", "AVIF")
"""Pillow's names of the formats whose frames follow each other in time."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Which frames or pages of a file are pictures of their own."""

    numbers: tuple[int, ...]
    """At least one, rising."""
    notes: tuple[str, ...] = ()
    plays: int | None = None
    """How often an animation is played; 0 for ever; None for what is no animation."""


def frames_of(image: Image.Image) -> Frames:
    """What to take of an opened WebP, AVIF, JPEG, BMP or HEIC; it is left at any of its frames."""
    count: int = getattr(image, "n_frames", 1)
    numbers = tuple(range(count))
    if count == 1:
        return Frames(numbers=numbers)
    if image.format in ANIMATED:
        return Frames(numbers=numbers, plays=plays_of(image))
    # The further pictures in a JPEG are previews, depth maps and the like.
    return Frames(numbers=(0,), notes=(f"only the first of {count} frames or pages was taken",))


def duration_ms(image: Image.Image) -> float:
    """How long the frame that an image stands at, loaded, is shown."""
    value = image.info.get("duration", 0)
    valid = isinstance(value, int | float) and math.isfinite(value) and value >= 0
    return float(value) if valid else 0.0


def all_of(picture: Picture) -> tuple[Picture, ...]:
    """A picture and its further frames or pages."""
    return (picture, *picture.more)


def all_with_8_bits(picture: Picture) -> tuple[Picture, list[str]]:
    """A picture and its further frames or pages for a model that takes 8 bits, and notes."""
    if not any(is_deep(page) for page in all_of(picture)):
        return picture, []
    more = tuple(with_8_bits(page) for page in picture.more)
    return replace(with_8_bits(picture), more=more), ["reduced to 8 bits: the model takes no more"]


def plays_of(image: Image.Image) -> int:
    """How often an animation is played; 0 for ever."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        # GIF counts repetitions, and without a count plays once.
        if not isinstance(loop, int):
            return 1
        return loop + 1 if loop else 0
    return loop if isinstance(loop, int) and loop >= 0 else 0
