"""How well a model super-resolves a folder of pictures, beside bicubic enlargement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.folder import by_stem, picture_paths
from dggn.data.pairs import read_pair
from dggn.metrics.fidelity import peak_signal_noise_ratio, structural_similarity
from dggn.model.config import SCALE
from runtime.errors import ConfigError, ModelError

SuperResolve: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""(H, W, 3) uint8 RGB to (4H, 4W, 3) uint8 RGB."""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """PSNR and SSIM on Y, border 4."""

    psnr_db: float
    """Infinite for equal pictures."""

    ssim: float
    """1 for equal pictures."""


@dataclass(frozen=True, kw_only=True)
class PictureResult:
    """One picture's figures."""

    name: str
    """The HR picture's file name."""

    model: Fidelity
    """Of the model."""

    bicubic: Fidelity
    """Of bicubic enlargement, the baseline."""


@dataclass(frozen=True, kw_only=True)
class PathPair:
    """An HR picture's file and, where it is given, that of its reduction."""

    hr: Path
    """The HR picture."""

    lr: Path | None
    """Its reduction; None to make it."""


def path_pairs(hr_folder: Path, lr_folder: Path | None) -> list[PathPair]:
    """The pictures of a folder, each with its reduction.

    Args:
        hr_folder: HR pictures.
        lr_folder: their reductions, matched by stem; None to make them.

    Raises:
        ConfigError: a folder is missing or empty, an HR picture has no reduction, or two
            pictures of a folder have one stem.
    """
    hr_paths = picture_paths(hr_folder)
    if lr_folder is None:
        return [PathPair(hr=path, lr=None) for path in hr_paths]
    hr_by_stem = by_stem(hr_folder, hr_paths)
    lr_by_stem = by_stem(lr_folder, picture_paths(lr_folder))
    missing = [stem for stem in hr_by_stem if stem not in lr_by_stem]
    if missing:
        raise ConfigError(
            f"{lr_folder} lacks the reductions of {len(missing)} pictures of {hr_folder} "
            f"({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}): "
            "each must have the HR picture's name, apart from the suffix"
        )
    return [PathPair(hr=path, lr=lr_by_stem[stem]) for stem, path in hr_by_stem.items()]


def evaluate(super_resolve: SuperResolve, pairs: Sequence[PathPair]) -> Iterator[PictureResult]:
    """Measure one picture after the other.

    Raises:
        ConfigError: a picture is too small to measure, or an LR picture has not a quarter the
            HR picture's size.
        ImageReadError: a picture cannot be decoded.
        ModelError: the model does not enlarge four times.
    """
    for paths in pairs:
        pair = read_pair(paths.hr, paths.lr)
        sr = super_resolve(pair.lr_hwc)
        if sr.shape != pair.hr_hwc.shape:
            raise ModelError(
                f"the model made {sr.shape[1]}x{sr.shape[0]} px of {pair.name}, expected "
                f"{pair.hr_hwc.shape[1]}x{pair.hr_hwc.shape[0]}: only x{SCALE} models can be "
                "evaluated"
            )
        enlarged = bicubic_resize(pair.lr_hwc, Fraction(SCALE))
        try:
            yield PictureResult(
                name=pair.name,
                model=_fidelity(sr, pair.hr_hwc),
                bicubic=_fidelity(enlarged, pair.hr_hwc),
            )
        except ValueError as error:
            raise ConfigError(f"{paths.hr} is too small to measure: {error}") from error


def mean(values: Sequence[Fidelity]) -> Fidelity:
    """The mean of each figure, as published tables report it."""
    return Fidelity(
        psnr_db=float(np.mean([value.psnr_db for value in values])),
        ssim=float(np.mean([value.ssim for value in values])),
    )


def _fidelity(image_hwc: NDArray[np.uint8], reference_hwc: NDArray[np.uint8]) -> Fidelity:
    return Fidelity(
        psnr_db=peak_signal_noise_ratio(image_hwc, reference_hwc),
        ssim=structural_similarity(image_hwc, reference_hwc),
    )
