"""Pictures with their reductions, and aligned training crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.folder import picture_paths, read_rgb
from dggn.model.config import SCALE
from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture and its bicubic reduction."""

    name: str
    """The picture's file name."""

    lr_hwc: NDArray[np.uint8]
    """(H, W, 3), RGB."""

    hr_hwc: NDArray[np.uint8]
    """(4H, 4W, 3), RGB."""


def read_pairs(folders: Sequence[Path]) -> list[Pair]:
    """Read every HR picture below `folders` into memory and reduce it.

    HR pictures are cropped at the right and bottom to a multiple of the scale.

    Raises:
        ConfigError: a folder is missing or empty.
        ImageReadError: a picture cannot be decoded.
    """
    return [read_pair(path) for folder in folders for path in picture_paths(folder)]


def read_pair(hr_path: Path, lr_path: Path | None = None) -> Pair:
    """Read one HR picture, and read its reduction or make it.

    Args:
        hr_path: is cropped at the right and bottom to a multiple of the scale.
        lr_path: None to reduce the HR picture.

    Raises:
        ConfigError: the HR picture is too small, or the LR picture has not a quarter its size.
        ImageReadError: a picture cannot be decoded.
    """
    hr = read_rgb(hr_path)
    height, width = (size // SCALE for size in hr.shape[:2])
    if not height or not width:
        raise ConfigError(f"{hr_path} is {hr.shape[1]}x{hr.shape[0]}: too small to reduce")
    hr = hr[: height * SCALE, : width * SCALE]
    if lr_path is None:
        lr = bicubic_resize(hr, Fraction(1, SCALE))
    else:
        lr = read_rgb(lr_path)
    if lr.shape[:2] != (height, width):
        raise ConfigError(
            f"{lr_path} is {lr.shape[1]}x{lr.shape[0]}: expected {width}x{height}, "
            f"a quarter of {hr_path}"
        )
    return Pair(name=hr_path.name, lr_hwc=lr, hr_hwc=hr)


class CropSampler:
    """Random aligned crops, flipped and rotated, reproducible from a seed.

    Batch number `step` depends on the seed and on `step` alone, so that a resumed run goes
    on with the very batches it would have seen.

    Args:
        pairs: where to crop; a picture is drawn in proportion to its area.
        batch_size: crops in a batch.
        patch_lr_px: side of an LR crop.
        seed: of the whole sequence.

    Raises:
        ConfigError: no picture is large enough for a crop.
    """

    def __init__(
        self, pairs: Sequence[Pair], *, batch_size: int, patch_lr_px: int, seed: int
    ) -> None:
        self._pairs = [pair for pair in pairs if min(pair.lr_hwc.shape[:2]) >= patch_lr_px]
        if not self._pairs:
            raise ConfigError(
                f"none of the {len(pairs)} training pictures is at least "
                f"{patch_lr_px * SCALE} px wide and high, the size of a crop: "
                "add larger pictures or lower patch_lr_px"
            )
        areas = np.array([pair.lr_hwc.shape[0] * pair.lr_hwc.shape[1] for pair in self._pairs])
        self._weights = areas / areas.sum()
        self._batch_size = batch_size
        self._patch_lr_px = patch_lr_px
        self._seed = seed

    def batch(self, step: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Batch number `step`.

        Returns:
            LR crops (N, P, P, 3) and HR crops (N, 4P, 4P, 3), uint8 RGB.
        """
        random = np.random.default_rng((self._seed, step))
        crops = [self._crop(random) for _ in range(self._batch_size)]
        return np.stack([lr for lr, _ in crops]), np.stack([hr for _, hr in crops])

    def _crop(self, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pair = self._pairs[random.choice(len(self._pairs), p=self._weights)]
        side = self._patch_lr_px
        top = int(random.integers(pair.lr_hwc.shape[0] - side + 1))
        left = int(random.integers(pair.lr_hwc.shape[1] - side + 1))
        turns = int(random.integers(4))
        mirrored = bool(random.integers(2))

        def cut(image_hwc: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
            window = image_hwc[
                top * scale : (top + side) * scale, left * scale : (left + side) * scale
            ]
            window = np.rot90(window, turns)
            return window[:, ::-1] if mirrored else window

        return cut(pair.lr_hwc, 1), cut(pair.hr_hwc, SCALE)
