"""Draws realistic degradations: cameras, image software, the web.

A picture's history is drawn first and can be kept beside it; the picture follows from the
history alone. Most histories are mild, because most pictures are: a model that has only seen
bad ones takes skin and fabric for noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dggn.data.history import (
    ALIASED,
    FILTERS,
    JPEG_BLOCK_PX,
    UNREDUCED,
    History,
    Noise,
    Save,
    apply_history,
)
from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Realism:
    """Frequencies and strength limits of a history's steps.

    The defaults are for photographs.
    """

    filters: tuple[tuple[str, float], ...] = (
        ("lanczos", 0.3),
        ("bicubic", 0.3),
        ("box", 0.15),
        ("bilinear", 0.15),
        (ALIASED, 0.1),
    )
    """Reduction filters with their relative frequencies."""

    blurred: float = 0.4
    """Fraction of pictures blurred before the reduction."""

    blur_px: tuple[float, float] = (0.3, 2.5)
    """Standard deviation of that blur, in HR pixels."""

    noisy_before: float = 0.5
    """Fraction with noise before the reduction."""

    noisy_after: float = 0.4
    """Fraction with noise after the reduction."""

    most_noise: float = 8.0
    """Maximum noise in 8-bit levels; weak noise is drawn more often than strong noise."""

    sharpened: float = 0.2
    """Fraction sharpened after the reduction."""

    saves: tuple[float, float, float] = (0.15, 0.55, 0.3)
    """Fractions saved as JPEG never, once and twice."""

    quality: tuple[int, int, int] = (40, 85, 95)
    """JPEG qualities: lowest, most frequent, highest."""

    subsampled: float = 0.65
    """Fraction of JPEGs with 4:2:0 subsampling."""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.filters]
        if unknown := [name for name in names if name not in FILTERS]:
            raise ConfigError(f"no filter is called {unknown[0]!r}: choose {', '.join(FILTERS)}")
        for what, shares in (
            ("filters", [part for _, part in self.filters]),
            ("saves", self.saves),
        ):
            if abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
                raise ConfigError(f"the shares of {what} are {shares}: expected a sum of 1")


PHOTOGRAPHS = Realism()

GRAPHICS = Realism(
    blurred=0.05,
    noisy_before=0.0,
    noisy_after=0.0,
    sharpened=0.1,
    saves=(0.6, 0.3, 0.1),
)
"""Degradations of screenshots, text and drawings: no sensor noise, and mostly PNG."""


def degrade_realistic(
    hr_hwc: NDArray[np.uint8], random: np.random.Generator, realism: Realism = PHOTOGRAPHS
) -> NDArray[np.uint8]:
    """Draw a history and apply it to an HR picture.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB.
        random: random number generator.
        realism: frequencies and strength limits of each step.

    Returns:
        (H, W, 3), uint8 RGB.
    """
    return apply_history(hr_hwc, draw_history(random, realism))


def draw_history(
    random: np.random.Generator, realism: Realism = PHOTOGRAPHS, *, reduced: bool = True
) -> History:
    """Draw the history of one picture.

    Args:
        random: random number generator.
        realism: frequencies and strength limits of each step.
        reduced: False for a picture that keeps its size, and is saved at least once more.
    """
    shares = [share for _, share in realism.filters]
    name = realism.filters[int(random.choice(len(shares), p=shares))][0]
    blurred, sharpened = random.random() < realism.blurred, random.random() < realism.sharpened
    saves = int(random.choice(3, p=realism.saves))
    return History(
        seed=int(random.integers(1 << 32)),
        blur_px=float(random.uniform(*realism.blur_px)) if blurred else 0.0,
        noise_before=_draw_noise(random, realism.noisy_before, realism.most_noise),
        filter=name if reduced else UNREDUCED,
        noise_after=_draw_noise(random, realism.noisy_after, realism.most_noise),
        sharpen_percent=int(random.integers(30, 121)) if sharpened else 0,
        sharpen_px=float(random.uniform(0.5, 1.5)),
        saves=_draw_saves(random, realism, saves if reduced else max(saves, 1)),
    )


def _draw_noise(random: np.random.Generator, share: float, most: float) -> Noise:
    is_noisy, is_shot = random.random() < share, random.random() < 0.5
    # The square prefers weak noise: half of the noisy pictures have a quarter of the most.
    luma, chroma = most * random.random(2) ** 2
    return Noise(luma=float(luma), chroma=float(chroma / 2), shot=is_shot) if is_noisy else Noise()


def _draw_saves(random: np.random.Generator, realism: Realism, count: int) -> tuple[Save, ...]:
    saves = []
    for number in range(count):
        is_last = number == count - 1
        was_cropped = not is_last and random.random() < 0.5
        shift = random.integers(JPEG_BLOCK_PX, size=2) if was_cropped else (0, 0)
        saves.append(
            Save(
                quality=round(random.triangular(*realism.quality)),
                subsampled=bool(random.random() < realism.subsampled),
                shift_yx=(int(shift[0]), int(shift[1])),
            )
        )
    return tuple(saves)
