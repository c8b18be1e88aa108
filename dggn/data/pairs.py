"""Pairs of pictures and their reductions, from folders and prepared sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.folder import by_stem, picture_paths, read_rgb
from dggn.data.prepared import (
    HR_FOLDER,
    LR_FOLDER,
    Manifest,
    map_ppm,
    read_manifest,
    sub_image_paths,
)
from dggn.data.taught import TEACHER_FOLDER, TaughtSet, is_pair_complete, pair_paths, read_taught
from dggn.model.config import SCALE
from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture and its reduction."""

    name: str
    """File name of the picture."""

    lr_hwc: NDArray[np.uint8]
    """LR picture: (H, W, 3), RGB."""

    hr_hwc: NDArray[np.uint8]
    """HR picture: (4H, 4W, 3), RGB; the target of training or measurement."""

    weight: float = 1.0
    """Relative sampling frequency per pixel."""

    @property
    def size_lr_hw(self) -> tuple[int, int]:
        """Height and width of the LR picture."""
        return self.lr_hwc.shape[0], self.lr_hwc.shape[1]


class StoredPair(Pair):
    """A pair of a prepared or taught set, whose pixels stay on disk until they are accessed.

    Args:
        name: name of the pair.
        hr_path: PPM file of the HR picture.
        lr_path: PPM file of the LR picture.
        size_hr_hw: height and width of the HR picture.
        weight: sampling weight, as in :class:`Pair`.
    """

    def __init__(
        self,
        name: str,
        hr_path: Path,
        lr_path: Path,
        size_hr_hw: tuple[int, int],
        weight: float = 1.0,
    ) -> None:
        # The base is frozen; its other fields are properties here.
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "_paths", [hr_path, lr_path])
        object.__setattr__(self, "_size_hr_hw", size_hr_hw)

    _paths: list[Path]
    _size_hr_hw: tuple[int, int]

    @property
    def lr_hwc(self) -> NDArray[np.uint8]:
        """LR picture: (H, W, 3), RGB, read-only."""
        return map_ppm(self._paths[1], *self.size_lr_hw)

    @property
    def hr_hwc(self) -> NDArray[np.uint8]:
        """HR picture: (4H, 4W, 3), RGB, read-only."""
        return map_ppm(self._paths[0], *self._size_hr_hw)

    @property
    def size_lr_hw(self) -> tuple[int, int]:
        """Height and width of the LR picture, without reading it."""
        height, width = self._size_hr_hw
        return height // SCALE, width // SCALE


def read_pairs(
    folders: Sequence[Path], *, target: str = "original", originals: float = 0.0
) -> list[Pair]:
    """Read the pairs of folders; prepared, taught and benchmark sets are used as they are.

    Pictures of other folders are read and reduced. HR pictures are cropped at the right and
    bottom to a multiple of the scale.

    Args:
        folders: each a taught or prepared set, a benchmark (`HR` beside `LR_x4`), or pictures.
        target: HR picture to use in taught sets, `original` or `teacher`.
        originals: with `teacher`, the share of crops that keep the original, where there is one.

    Raises:
        ConfigError: a folder is missing or empty, or a set is not complete or lacks files.
        ImageReadError: a picture cannot be decoded.
    """
    pairs: list[Pair] = []
    for folder in folders:
        if (taught := read_taught(folder)) is not None:
            pairs += _taught_pairs(folder, taught, target, originals)
        elif (manifest := read_manifest(folder)) is not None:
            pairs += _prepared_pairs(folder, manifest)
        elif (folder / HR_FOLDER).is_dir() and (folder / LR_FOLDER).is_dir():
            pairs += _benchmark_pairs(folder)
        else:
            pairs += [read_pair(path) for path in picture_paths(folder)]
    return pairs


def _prepared_pairs(folder: Path, manifest: Manifest) -> list[Pair]:
    if not manifest.complete:
        raise ConfigError(f"{folder} is not completely prepared: run `dggn-train prepare` again")
    sub_images = [one for source in manifest.sources for one in source.sub_images]
    if not sub_images:
        raise ConfigError(f"{folder} holds no sub-image: prepare a folder of pictures")
    return [
        StoredPair(one.name, hr_path, lr_path, (one.height, one.width))
        for one in sub_images
        for hr_path, lr_path in [sub_image_paths(folder, [one.name])]
    ]


def _taught_pairs(folder: Path, taught: TaughtSet, target: str, originals: float) -> list[Pair]:
    if not taught.complete:
        raise ConfigError(f"{folder} is not completely taught: run `dggn-train teach` again")
    missing = [pair.name for pair in taught.pairs if not is_pair_complete(folder, pair)]
    if missing:
        raise ConfigError(
            f"{folder} lacks files of {len(missing)} of its {len(taught.pairs)} pairs, of "
            f"{missing[0]} for one: run `dggn-train teach` again"
        )
    pairs: list[Pair] = []
    for one in taught.pairs:
        paths, size = pair_paths(folder, one), (one.height * SCALE, one.width * SCALE)
        share = originals if one.original else 0.0
        if target == "teacher":
            hr_path = paths[TEACHER_FOLDER]
            pairs.append(StoredPair(one.name, hr_path, paths[LR_FOLDER], size, 1 - share))
        if one.original and (share or target == "original"):
            weight = share if target == "teacher" else 1.0
            pairs.append(StoredPair(one.name, paths[HR_FOLDER], paths[LR_FOLDER], size, weight))
    if not pairs:
        raise ConfigError(f"{folder} has no originals: set target to 'teacher', or teach another")
    return pairs


def _benchmark_pairs(folder: Path) -> list[Pair]:
    hr = by_stem(folder / HR_FOLDER, picture_paths(folder / HR_FOLDER))
    lr = by_stem(folder / LR_FOLDER, picture_paths(folder / LR_FOLDER))
    if unpaired := sorted(hr.keys() ^ lr.keys()):
        raise ConfigError(f"{folder}: {unpaired[0]} is not in both of {HR_FOLDER} and {LR_FOLDER}")
    return [read_pair(path, lr[stem]) for stem, path in hr.items()]


def read_pair(hr_path: Path, lr_path: Path | None = None) -> Pair:
    """Read an HR picture, and read or compute its reduction.

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
