"""Output settings: format, quality and size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from runtime.codecs.formats import HAS_AVIF, WRITABLE_SUFFIXES
from runtime.errors import ConfigError, DggnError, ImageWriteError
from runtime.image.picture import Picture
from runtime.image.resize import fit_part

FormatName = Literal["same", "png", "jpg", "webp", "tiff", "gif", "avif"]

SIZE_OPTIONS = {
    "scale": "--scale",
    "width_px": "--width",
    "height_px": "--height",
    "max_size_px": "--max-size",
    "megapixels": "--megapixels",
}
"""Size fields of `OutputSettings`, of which at most one may be set, with their options."""

MOST = 1e9
"""Upper limit on sizes, which also excludes infinity and NaN."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """Settings for writing results.

    Raises:
        ConfigError: a value is out of range.
    """

    format: FormatName = "same"
    """Output format; `same` keeps the source's if it can be written, and otherwise uses PNG."""

    quality: int = 95
    """Quality of JPEG, WebP and AVIF, 1 to 100; WebP at 100 is lossless."""

    scale: float | None = None
    """Result pixels per source pixel along each axis; None for the model's scale."""

    width_px: int | None = None
    """Width of the result; the height follows."""

    height_px: int | None = None
    """Height of the result; the width follows."""

    max_size_px: int | None = None
    """Maximum length of the result's longer side; smaller results are not enlarged."""

    megapixels: float | None = None
    """Size of the result in megapixels, as closely as whole rows and columns allow."""

    second_pass: bool = False
    """Whether the model may run on its own result when one pass is not enough."""

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
        for name in ("width_px", "height_px", "max_size_px"):
            value = getattr(self, name)
            if value is not None and (not _is_integer(value) or value < 1):
                raise ConfigError(f"{name} is {value!r}: expected a whole number of at least 1")
        for name in ("scale", "megapixels"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < MOST):
                raise ConfigError(f"{name} is {value!r}: expected a number above 0")
        asked = [option for name, option in SIZE_OPTIONS.items() if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ConfigError(f"{' and '.join(asked)} exclude each other: choose one of them")
        if self.second_pass and (not asked or self.max_size_px is not None):
            raise ConfigError(
                "--second-pass is for results larger than the model makes: "
                "set the size with --scale, --width, --height or --megapixels"
            )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def target_suffix(source: Path, settings: OutputSettings) -> str:
    """Return the suffix of a result, given only its source's name.

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
    """Return the size of a result, before upscaling.

    Raises:
        ConfigError: the requested scale is beyond the model.
        ImageWriteError: the requested size of this picture is beyond the model.
    """
    size_hw = _wanted_size_hw(source_size_hw, settings, model_scale)
    passes = _passes(source_size_hw, size_hw, model_scale)
    if passes > (2 if settings.second_pass else 1):
        raise _too_large(source_size_hw, size_hw, settings, model_scale)
    return size_hw


def passes_for(
    sizes_hw: Iterable[tuple[int, int]], settings: OutputSettings, model_scale: int
) -> int:
    """Return the number of passes through the model: 1 or 2.

    Args:
        sizes_hw: sizes of its frames or pages.
        settings: output settings with the requested size.
        model_scale: scale of the model.

    Raises:
        DggnError: see `target_size_hw`.
    """
    return max(
        _passes(size_hw, target_size_hw(size_hw, settings, model_scale), model_scale)
        for size_hw in sizes_hw
    )


def fit(
    picture: Picture, source_size_hw: tuple[int, int], settings: OutputSettings, model_scale: int
) -> Picture:
    """Reduce a result to the requested size in one antialiased (Lanczos) step.

    Colours count in proportion to their alpha, so that what is hidden under transparent pixels
    does not bleed into what is seen.

    Args:
        picture: the model's result, from one pass or two; not changed.
        source_size_hw: size of the model's input.
        settings: output settings with the requested size.
        model_scale: scale of the model.

    Returns:
        The same object if its size is right already and it is a single picture.

    Raises:
        DggnError: see `target_size_hw`.
    """
    if picture.more:
        enlarged = picture.size_hw[0] // source_size_hw[0]
        more = (
            fit(page, _divided(page.size_hw, enlarged), settings, model_scale)
            for page in picture.more
        )
        first = fit(replace(picture, more=()), source_size_hw, settings, model_scale)
        return replace(first, more=tuple(more))
    size_hw = target_size_hw(source_size_hw, settings, model_scale)
    if picture.size_hw == size_hw:
        return picture
    return fit_part(picture, size_hw)


def _wanted_size_hw(
    source_size_hw: tuple[int, int], settings: OutputSettings, model_scale: int
) -> tuple[int, int]:
    height, width = source_size_hw
    if settings.width_px is not None:
        return _proportional(height, settings.width_px, width), settings.width_px
    if settings.height_px is not None:
        return settings.height_px, _proportional(width, settings.height_px, height)
    if settings.megapixels is not None:
        return _scaled(source_size_hw, math.sqrt(settings.megapixels * 1e6 / (height * width)))
    if settings.max_size_px is not None:
        longest = max(height, width)
        # Not above what the model makes.
        side = min(settings.max_size_px, longest * model_scale)
        return _proportional(height, side, longest), _proportional(width, side, longest)
    return _scaled(source_size_hw, model_scale if settings.scale is None else settings.scale)


def _proportional(length: int, new: int, old: int) -> int:
    """Scale a length by `new / old`, rounding halves up, exactly."""
    return max(1, (2 * length * new + old) // (2 * old))


def _scaled(size_hw: tuple[int, int], factor: float) -> tuple[int, int]:
    height, width = (max(1, math.floor(size * factor + 0.5)) for size in size_hw)
    return height, width


def _divided(size_hw: tuple[int, int], divisor: int) -> tuple[int, int]:
    return size_hw[0] // divisor, size_hw[1] // divisor


def _passes(source_hw: tuple[int, int], target_hw: tuple[int, int], model_scale: int) -> int:
    """Return the number of passes for one size; 3 if two are not enough."""
    for passes in (1, 2):
        enlarged = model_scale**passes
        if all(new <= old * enlarged for new, old in zip(target_hw, source_hw, strict=True)):
            return passes
    return 3


def _too_large(
    source_hw: tuple[int, int],
    target_hw: tuple[int, int],
    settings: OutputSettings,
    model_scale: int,
) -> DggnError:
    option = next(SIZE_OPTIONS[name] for name in SIZE_OPTIONS if getattr(settings, name))
    most = f"the model enlarges {model_scale} times"
    most += f", and {model_scale**2} times in two passes" if settings.second_pass else ""
    remedy = f"choose a smaller {option}"
    if not settings.second_pass and _passes(source_hw, target_hw, model_scale) == 2:
        remedy += ", or have it enlarge its own result with --second-pass"
    if settings.scale is not None:
        return ConfigError(f"--scale is {settings.scale:g}, but {most}: {remedy}")
    (height, width), (new_height, new_width) = source_hw, target_hw
    return ImageWriteError(
        f"{width}x{height} px are to become {new_width}x{new_height}, but {most}: {remedy}"
    )
