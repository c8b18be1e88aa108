"""How results are asked for: format, quality and size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from runtime.codecs.formats import HAS_AVIF, WRITABLE_SUFFIXES
from runtime.errors import ConfigError
from runtime.image.picture import Picture
from runtime.image.resize import fit_part

FormatName = Literal["same", "png", "jpg", "webp", "tiff", "gif", "avif"]


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """How results are written.

    Raises:
        ConfigError: a value is out of range.
    """

    format: FormatName = "same"
    """`same` keeps the source's where it can be written, and else takes PNG."""

    quality: int = 95
    """Of JPEG, WebP and AVIF, 1 to 100; a WebP of quality 100 is lossless."""

    scale: int = 4
    """Result pixels per source pixel, along each axis: 2, 3 or 4."""

    max_size_px: int | None = None
    """The result's longest side at most; None for no limit."""

    def __post_init__(self) -> None:
        if self.format not in get_args(FormatName):
            expected = ", ".join(get_args(FormatName))
            raise ConfigError(f"format is {self.format!r}: expected one of {expected}")
        if self.format == "avif" and not HAS_AVIF:
            raise ConfigError(
                "format is 'avif', which the installed Pillow cannot write: choose webp"
            )
        if not _is_integer(self.quality) or not 1 <= self.quality <= 100:
            raise ConfigError(f"quality is {self.quality!r}: expected 1 to 100")
        if not _is_integer(self.scale) or self.scale not in (2, 3, 4):
            raise ConfigError(f"scale is {self.scale!r}: expected 2, 3 or 4")
        if self.max_size_px is not None and (
            not _is_integer(self.max_size_px) or self.max_size_px < 1
        ):
            raise ConfigError(f"max_size_px is {self.max_size_px!r}: expected at least 1, or None")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def target_suffix(source: Path, settings: OutputSettings) -> str:
    """How a result's name ends, told from its source's name alone.

    Returns:
        With the dot: the source's own suffix, or that of the format asked for; `.png` where
        the source's format is read only.
    """
    if settings.format != "same":
        return "." + settings.format
    return source.suffix if source.suffix.lower() in WRITABLE_SUFFIXES else ".png"


def target_size_hw(
    source_size_hw: tuple[int, int], settings: OutputSettings, model_scale: int
) -> tuple[int, int]:
    """The size of a result, known before the picture is upscaled.

    Raises:
        ConfigError: the model enlarges less than the settings ask for.
    """
    if settings.scale > model_scale:
        raise ConfigError(
            f"scale is {settings.scale}, but the model enlarges {model_scale} times: "
            f"expected at most {model_scale}"
        )
    height, width = (size * settings.scale for size in source_size_hw)
    longest = max(height, width)
    if settings.max_size_px is None or longest <= settings.max_size_px:
        return height, width
    # In integers, so that the longest side comes out exactly; halves round up.
    height, width = (
        max(1, (2 * size * settings.max_size_px + longest) // (2 * longest))
        for size in (height, width)
    )
    return height, width


def fit(
    picture: Picture, source_size_hw: tuple[int, int], settings: OutputSettings, model_scale: int
) -> Picture:
    """Reduce a result to the size that the settings ask for, in one antialiased (Lanczos) step.

    Colours count in proportion to their alpha, so that what is hidden under transparent pixels
    does not bleed into what is seen.

    Args:
        picture: what the model made; not changed.
        source_size_hw: of the picture that the model was given.
        settings: with the scale and the longest side allowed.
        model_scale: how often the model enlarges.

    Returns:
        The same object where its size is right already and it is a single picture.

    Raises:
        ConfigError: the model enlarges less than the settings ask for.
    """
    if picture.more:
        more = (
            fit(page, _source_size_hw(page, model_scale), settings, model_scale)
            for page in picture.more
        )
        first = fit(replace(picture, more=()), source_size_hw, settings, model_scale)
        return replace(first, more=tuple(more))
    size_hw = target_size_hw(source_size_hw, settings, model_scale)
    if picture.size_hw == size_hw:
        return picture
    return fit_part(picture, size_hw)


def _source_size_hw(enlarged: Picture, model_scale: int) -> tuple[int, int]:
    height, width = enlarged.size_hw
    return height // model_scale, width // model_scale
