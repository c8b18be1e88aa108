"""Pictures with their reductions, from folders of pictures and from prepared sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.folder import picture_paths, read_rgb
from dggn.data.prepared import SubImage, map_ppm, paths_of, read_manifest
from dggn.model.config import SCALE
from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture and its reduction."""

    name: str
    """The picture's file name."""

    lr_hwc: NDArray[np.uint8]
    """(H, W, 3), RGB."""

    hr_hwc: NDArray[np.uint8]
    """(4H, 4W, 3), RGB."""

    @property
    def size_lr_hw(self) -> tuple[int, int]:
        """Height and width of the LR picture."""
        return self.lr_hwc.shape[0], self.lr_hwc.shape[1]


class StoredPair(Pair):
    """A pair of a prepared set: its pixels stay on disk and are read where they are looked at.

    Args:
        folder: of the set.
        sub_image: which of its sub-images.
    """

    def __init__(self, folder: Path, sub_image: SubImage) -> None:
        # The base is frozen; it has no other fields that are not properties here.
        object.__setattr__(self, "name", sub_image.name)
        object.__setattr__(self, "_paths", paths_of(folder, [sub_image.name]))
        object.__setattr__(self, "_size_hr_hw", (sub_image.height, sub_image.width))

    _paths: list[Path]
    _size_hr_hw: tuple[int, int]

    @property
    def lr_hwc(self) -> NDArray[np.uint8]:
        """(H, W, 3), RGB, read-only."""
        return map_ppm(self._paths[1], *self.size_lr_hw)

    @property
    def hr_hwc(self) -> NDArray[np.uint8]:
        """(4H, 4W, 3), RGB, read-only."""
        return map_ppm(self._paths[0], *self._size_hr_hw)

    @property
    def size_lr_hw(self) -> tuple[int, int]:
        """Height and width of the LR picture, without reading it."""
        height, width = self._size_hr_hw
        return height // SCALE, width // SCALE


def read_pairs(folders: Sequence[Path]) -> list[Pair]:
    """The pictures of folders: of prepared sets as they are, of others read and reduced.

    HR pictures are cropped at the right and bottom to a multiple of the scale.

    Raises:
        ConfigError: a folder is missing or empty, or a set's preparation was not finished.
        ImageReadError: a picture cannot be decoded.
    """
    pairs: list[Pair] = []
    for folder in folders:
        manifest = read_manifest(folder)
        if manifest is None:
            pairs += [read_pair(path) for path in picture_paths(folder)]
            continue
        if not manifest.complete:
            raise ConfigError(
                f"{folder} is not completely prepared: run `dggn-train prepare` again"
            )
        sub_images = [one for source in manifest.sources for one in source.sub_images]
        if not sub_images:
            raise ConfigError(f"{folder} holds no sub-image: prepare a folder of pictures")
        pairs += [StoredPair(folder, sub_image) for sub_image in sub_images]
    return pairs


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
