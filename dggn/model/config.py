"""The generator's configuration, and the shipped presets.

This module needs neither torch nor numpy, so that a configuration can be read anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dggn.settings import from_mapping
from runtime.errors import ConfigError, ModelError

TRUNK_STRIDE = 2
"""LR pixels per trunk pixel: the shallow extractors end in a 2x pixel-unshuffle."""

SCALE = 4
"""HR pixels per LR pixel, along each axis."""

COLOUR_WINDOW_PX = 5
"""Side of the windows, in LR pixels, whose mean colours are kept: wide enough that noise averages
out, narrow enough to follow shading."""

COMMUNITY_SUFFIXES = frozenset({".pth", ".pt", ".ckpt"})
"""Suffixes of checkpoints that only other programs write."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Structure of a generator (Fig. 1 of the paper).

    Raises:
        ConfigError: a value is out of range, or the gradient units cannot be spaced evenly.
    """

    width: int
    """Channels of every trunk feature map."""

    image_units: int
    """Multi-scale residual units in the image branch."""

    gradient_units: int
    """Multi-scale residual units in the gradient branch; 0 removes the branch (Table 1)."""

    tail_width: int
    """Channels of the tail's feature maps, which have LR resolution."""

    tail_convs: int = 0
    """Residual 3x3 convolutions in the tail."""

    se_reduction: int = 16
    """Channel reduction of squeeze-and-excitation's hidden layer."""

    se_window_px: int = 8
    """Side of SE's averaging window, in trunk pixels (twice as many LR pixels)."""

    keeps_colours: bool = False
    """Whether local mean colours are forced to be the LR picture's; see `ColourKeeping`."""

    def __post_init__(self) -> None:
        if self.se_reduction < 1:
            raise ConfigError(f"se_reduction is {self.se_reduction}: it must be at least 1")
        if self.width < 1 or self.width % self.se_reduction:
            raise ConfigError(
                f"width is {self.width}: it must be a positive multiple of "
                f"se_reduction ({self.se_reduction})"
            )
        if self.width % TRUNK_STRIDE**2:
            raise ConfigError(
                f"width is {self.width}: it must be a multiple of {TRUNK_STRIDE**2}, because "
                "the shallow extractors end in a pixel-unshuffle"
            )
        if self.image_units < 1 or self.gradient_units < 0:
            raise ConfigError(
                f"image_units is {self.image_units} and gradient_units {self.gradient_units}: "
                "there must be at least one image unit and no negative count"
            )
        if self.gradient_units and self.image_units % self.gradient_units:
            raise ConfigError(
                f"{self.gradient_units} gradient units cannot be spaced evenly over "
                f"{self.image_units} image units: make image_units a multiple of gradient_units"
            )
        if self.tail_width < 1 or self.tail_convs < 0:
            raise ConfigError(
                f"tail_width is {self.tail_width} and tail_convs {self.tail_convs}: "
                "there must be at least one channel and no negative count"
            )
        if self.se_window_px < 4 or self.se_window_px % 4:
            raise ConfigError(
                f"se_window_px is {self.se_window_px}: it must be a positive multiple of 4"
            )

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel, along each axis."""
        return SCALE

    @property
    def se_stride_px(self) -> int:
        """Distance between the centres of adjacent SE windows, in trunk pixels."""
        return self.se_window_px // 2

    @property
    def size_multiple_px(self) -> int:
        """Divisor of the LR input's height and width."""
        return TRUNK_STRIDE * self.se_stride_px


FORMER_SETTING = "upsampler_widths"
"""A setting found only in the structure of 0.1, whose tail computed at HR resolution."""


def read_structure(values: Mapping[str, Any], *, where: str) -> GeneratorConfig:
    """Parse a generator's structure from a file.

    Args:
        values: the structure as stored in the file.
        where: the file, for error messages.

    Raises:
        ModelError: it is the structure of an earlier version.
        ConfigError: it is not one of our structures.
    """
    if isinstance(values, Mapping) and FORMER_SETTING in values:
        raise ModelError(
            f"{where} has the structure of DGGN 0.1, which this version cannot load: exported "
            "files of it still run in dggn-run; to train or export, use weights of this version"
        )
    return from_mapping(GeneratorConfig, values, where=where)


PRESETS: dict[str, GeneratorConfig] = {
    "dggn": GeneratorConfig(
        width=128, image_units=6, gradient_units=2, tail_width=224, tail_convs=3
    ),
    "dggn-lite": GeneratorConfig(width=64, image_units=3, gradient_units=1, tail_width=32),
}
PRESETS |= {
    f"{name}-photo": replace(structure, keeps_colours=True) for name, structure in PRESETS.items()
}
"""Structures with shipped weights, by name."""


def preset(name: str) -> GeneratorConfig:
    """Return the configuration called `name`.

    Raises:
        ConfigError: there is no preset of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
