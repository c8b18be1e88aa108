"""Writes animations as GIF, PNG, WebP and AVIF, and single pictures as GIF."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import IO, Any

import numpy as np
from PIL import Image

from runtime.codecs.pil import image_from_picture
from runtime.image.picture import Picture

LONGEST_MS = {"GIF": 655_350, "PNG": 65_535, "WEBP": 2**24 - 1}
"""Maximum frame duration by format: 16 bits of hundredths, 16 bits of milliseconds, or 24."""

_CLEAR = 255
"""Palette index used for transparent pixels in a GIF."""


def save_animation(
    frames: Sequence[Picture], format_name: str, file: IO[bytes], options: dict[str, Any]
) -> list[str]:
    """Write frames with their durations.

    Args:
        frames: one or more, of one size.
        format_name: GIF, PNG, WEBP or AVIF.
        file: binary.
        options: Pillow's, without those of animations.

    Returns:
        Notes on what the format could not keep.
    """
    # Some with alpha and some without would each be encoded as another kind.
    has_alpha = any(frame.alpha_hw is not None for frame in frames)
    # A list: some of Pillow's writers go through it twice.
    images = [_image(frame, format_name, has_alpha=has_alpha) for frame in frames]
    notes = []
    if len(frames) > 1:
        durations = _rounded(
            [frame.duration_ms or 0.0 for frame in frames], 10 if format_name == "GIF" else 1
        )
        longest = LONGEST_MS.get(format_name, sum(durations))
        if sum(durations) > longest:
            images, durations = _merged(images, durations)
            if max(durations) > longest:
                durations = [min(duration, longest) for duration in durations]
                notes.append(
                    f"frames are shown for {longest / 1000:g} s at most: "
                    f"{format_name} holds no more"
                )
        options = options | {
            "save_all": True,
            "append_images": images[1:],
            "duration": durations,
        }
        options |= _loop(frames[0].plays or 0, format_name)
        if format_name == "AVIF" and frames[0].plays:
            notes.append("the animation repeats for ever: AVIF is written without a count of plays")
        if format_name == "PNG":
            # Each frame replaces what was there: its alpha is the picture's, not a layer's.
            options |= {"disposal": 0, "blend": 0}
        elif format_name == "GIF" and has_alpha:
            options["disposal"] = 2
    images[0].save(file, format_name, **options)
    return notes


def _merged(images: list[Image.Image], durations: list[int]) -> tuple[list[Image.Image], list[int]]:
    """Merge identical consecutive frames, and add up their durations.

    Pillow does so while it writes, and does not look whether the format can hold the sum.
    """
    kept: list[Image.Image] = []
    times: list[int] = []
    last = b""
    for image, duration in zip(images, durations, strict=True):
        content = image.convert("RGBA").tobytes()
        if kept and content == last:
            times[-1] += duration
            continue
        kept.append(image)
        times.append(duration)
        last = content
    return kept, times


def _rounded(durations_ms: Sequence[float], unit_ms: int) -> list[int]:
    """Round durations to whole units without letting their sum drift."""
    ends = [round(end / unit_ms) * unit_ms for end in accumulate(durations_ms)]
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _loop(plays: int, format_name: str) -> dict[str, int]:
    if format_name == "AVIF":
        return {}
    if format_name != "GIF":
        return {"loop": plays}
    return {} if plays == 1 else {"loop": max(0, plays - 1)}


def _image(picture: Picture, format_name: str, *, has_alpha: bool) -> Image.Image:
    image = image_from_picture(picture)
    if format_name == "GIF":
        return _with_palette(image)
    return image.convert("RGBA" if has_alpha else "RGB")


def _with_palette(image: Image.Image) -> Image.Image:
    """Reduce to a palette of at most 256 colours, one of them transparent if needed."""
    if not image.has_transparency_data:
        if image.mode == "L":
            return image
        return image.quantize(256, Image.Quantize.MEDIANCUT)
    alpha = np.asarray(image.getchannel("A"))
    # Dithering would flicker at the edges of what is transparent.
    small = image.convert("RGB").quantize(_CLEAR, Image.Quantize.MEDIANCUT)
    indices = np.where(alpha < 128, _CLEAR, np.asarray(small)).astype(np.uint8)
    result = Image.fromarray(indices)
    palette = (small.getpalette() or [])[: 3 * _CLEAR]
    result.putpalette(palette + [0] * (768 - len(palette)))
    result.info["transparency"] = _CLEAR
    return result
