"""Aligned training crops, augmented and degraded, reproducible from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.degrade import (
    PHOTO_MARGIN_LR_PX,
    check_degradation,
    degrade_bicubic,
    degrade_photo,
)
from dggn.data.pairs import Pair
from dggn.model.config import SCALE
from runtime.errors import ConfigError

Crops = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""LR and HR crops."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Position and orientation of a crop in its picture."""

    pair: int
    """Index of the picture, among those large enough for a crop."""

    top: int
    """First row, in LR pixels."""

    left: int
    """First column, in LR pixels."""

    side: int
    """Side in LR pixels; larger than the crop's if the picture is reduced first."""

    turns: int
    """Quarter turns, counterclockwise."""

    mirrored: bool
    """Flipped horizontally after the turns."""


class CropSampler:
    """Sampler of random aligned crops, flipped and rotated, reproducible from a seed.

    Batch number `step` depends on the seed and on `step` alone, so that a resumed run goes
    on with the very batches it would have seen, and so that several threads can make batches
    at once.

    Args:
        pairs: pairs to crop; a picture is drawn in proportion to its weighted area.
        batch_size: crops in a batch.
        patch_lr_px: side of an LR crop.
        seed: seed of the whole sequence.
        degradation: `bicubic` uses the pairs' own LR pictures, `photo` computes LR crops.
        rotate: all eight flips and rotations; False for horizontal flips only.
        scale_jitter: the HR picture is first reduced by a random factor down to 1 minus this.

    Raises:
        ConfigError: no picture is large enough for a crop, or an option is invalid.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        batch_size: int,
        patch_lr_px: int,
        seed: int,
        degradation: str = "bicubic",
        rotate: bool = True,
        scale_jitter: float = 0.0,
    ) -> None:
        self._degradation = check_degradation(degradation)
        if not 0 <= scale_jitter <= 0.75:
            raise ConfigError(f"scale_jitter is {scale_jitter}: expected 0 to 0.75")
        self.pairs = [pair for pair in pairs if min(pair.size_lr_hw) >= patch_lr_px]
        """Pairs large enough for a crop."""
        if not self.pairs:
            raise ConfigError(
                f"none of the {len(pairs)} training pictures is at least "
                f"{patch_lr_px * SCALE} px wide and high, the size of a crop: "
                "add larger pictures or lower patch_lr_px"
            )
        areas = np.array([pair.weight * np.prod(pair.size_lr_hw) for pair in self.pairs])
        # What Generator.choice(p=...) does, its cumulative sum taken once.
        cumulative = (areas / areas.sum()).cumsum()
        self._cumulative = cumulative / cumulative[-1]
        self._batch_size = batch_size
        self._patch_lr_px = patch_lr_px
        self._seed = seed
        self._rotate = rotate
        self._scale_jitter = scale_jitter

    def batch(self, step: int) -> Crops:
        """Return batch number `step`.

        Returns:
            LR crops (N, P, P, 3) and HR crops (N, 4P, 4P, 3), uint8 RGB.

        Raises:
            ImageReadError: a picture of a prepared set is missing or damaged.
        """
        random = np.random.default_rng((self._seed, step))
        side = self._patch_lr_px
        lr = np.empty((self._batch_size, side, side, 3), np.uint8)
        hr = np.empty((self._batch_size, side * SCALE, side * SCALE, 3), np.uint8)
        for lr_crop, hr_crop in zip(lr, hr, strict=True):
            self._crop(random, lr_crop, hr_crop)
        return lr, hr

    def windows(self, step: int) -> list[Window]:
        """Return the positions of the crops of batch `step`, without reading any picture.

        These are the crops of :meth:`batch` for the bicubic degradation.
        """
        random = np.random.default_rng((self._seed, step))
        return [self._draw(random) for _ in range(self._batch_size)]

    def _crop(
        self,
        random: np.random.Generator,
        lr_crop: NDArray[np.uint8],
        hr_crop: NDArray[np.uint8],
    ) -> None:
        """Draw one crop and write it into its place in the batch."""
        window = self._draw(random)
        pair, place = self.pairs[window.pair], (window.top, window.left, window.side)
        if self._degradation == "bicubic" and window.side == self._patch_lr_px:
            lr = _window(pair.lr_hwc, *place, 1)
            hr = _window(pair.hr_hwc, *place, SCALE)
        else:
            lr, hr = self._degraded(pair.hr_hwc, *place, random)
        _write_turned(lr, window.turns, window.mirrored, lr_crop)
        _write_turned(hr, window.turns, window.mirrored, hr_crop)

    def _draw(self, random: np.random.Generator) -> Window:
        pair = int(self._cumulative.searchsorted(random.random(), side="right"))
        height, width = self.pairs[pair].size_lr_hw
        side = self._patch_lr_px
        if self._scale_jitter:
            # Reducing by a factor is cropping so much more and reducing that.
            factor = 1 - self._scale_jitter * random.random()
            side = min(int(side / factor), height, width)
        return Window(
            pair=pair,
            top=int(random.integers(height - side + 1)),
            left=int(random.integers(width - side + 1)),
            side=side,
            turns=int(random.integers(4)) if self._rotate else 0,
            mirrored=bool(random.integers(2)),
        )

    def _degraded(
        self,
        hr_hwc: NDArray[np.uint8],
        top: int,
        left: int,
        side: int,
        random: np.random.Generator,
    ) -> Crops:
        """Recompute the LR crop from the HR crop and a margin around it."""
        patch, margin = self._patch_lr_px, PHOTO_MARGIN_LR_PX
        if side != patch:
            # The picture was reduced to the crop's size: nothing is known around it.
            window = _window(hr_hwc, top, left, side, SCALE)
            hr_hwc = bicubic_resize(window, Fraction(patch, side))
            top = left = 0
        first_row, first_column = max(0, top - margin), max(0, left - margin)
        seen = hr_hwc[
            first_row * SCALE : (top + patch + margin) * SCALE,
            first_column * SCALE : (left + patch + margin) * SCALE,
        ]
        photo = self._degradation == "photo"
        lr = degrade_photo(seen, random) if photo else degrade_bicubic(seen)
        return (
            _window(lr, top - first_row, left - first_column, patch, 1),
            _window(hr_hwc, top, left, patch, SCALE),
        )


def _window(
    image_hwc: NDArray[np.uint8], top: int, left: int, side: int, scale: int
) -> NDArray[np.uint8]:
    return image_hwc[top * scale : (top + side) * scale, left * scale : (left + side) * scale]


def _write_turned(
    window: NDArray[np.uint8], turns: int, mirrored: bool, target: NDArray[np.uint8]
) -> None:
    # One item a pixel instead of three: numpy moves turned pixels twice as fast.
    pixels = window.view("V3")[..., 0]
    if turns % 2:
        pixels = pixels.T
    # np.rot90 and then a mirror, in terms of the axes; much quicker than calling it.
    pixels = pixels[:: -1 if turns in (1, 2) else 1, :: -1 if (turns in (2, 3)) != mirrored else 1]
    target.view("V3")[..., 0] = pixels
