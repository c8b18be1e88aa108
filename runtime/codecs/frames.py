"""Animations and multi-page files: the frames to read, and their durations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from PIL import Image

from runtime.image.picture import Picture, is_deep, with_8_bits

ANIMATED = ("WEBP", "AVIF")
"""Pillow's names of formats whose frames form an animation."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames or pages of a file to read as pictures."""

    numbers: tuple[int, ...]
    """Frame numbers in ascending order, at least one."""
    notes: tuple[str, ...] = ()
    plays: int | None = None
    """Loop count of an animation; 0 for ever; None if it is not an animation."""


def frames_of(image: Image.Image) -> Frames:
    """Select the frames of an opened WebP, AVIF, JPEG, BMP or HEIC, leaving it at any of them."""
    count: int = getattr(image, "n_frames", 1)
    numbers = tuple(range(count))
    if count == 1:
        return Frames(numbers=numbers)
    if image.format in ANIMATED:
        return Frames(numbers=numbers, plays=plays_of(image))
    # The further pictures in a JPEG are previews, depth maps and the like.
    return Frames(numbers=(0,), notes=(f"only the first of {count} frames or pages was taken",))


def duration_ms(image: Image.Image) -> float:
    """Return the duration of the image's current, loaded frame."""
    value = image.info.get("duration", 0)
    valid = isinstance(value, int | float) and math.isfinite(value) and value >= 0
    return float(value) if valid else 0.0


def all_frames(picture: Picture) -> tuple[Picture, ...]:
    """Return a picture and its further frames or pages."""
    return (picture, *picture.more)


def all_frames_with_8_bits(picture: Picture) -> tuple[Picture, list[str]]:
    """Return all frames or pages with 8 bits, for a model that takes no more, and notes."""
    if not any(is_deep(page) for page in all_frames(picture)):
        return picture, []
    more = tuple(with_8_bits(page) for page in picture.more)
    return replace(with_8_bits(picture), more=more), ["reduced to 8 bits: the model takes no more"]


def plays_of(image: Image.Image) -> int:
    """Return an animation's loop count; 0 for ever."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        # GIF counts repetitions, and without a count plays once.
        if not isinstance(loop, int):
            return 1
        return loop + 1 if loop else 0
    return loop if isinstance(loop, int) and loop >= 0 else 0
