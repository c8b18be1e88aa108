"""Evaluates a model on benchmarks, or the pictures of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dggn.data.folder import by_stem, picture_paths, read_rgb
from dggn.data.pairs import Pair, read_pair
from dggn.data.prepared import HR_FOLDER, LR_FOLDER
from dggn.metrics.fidelity import peak_signal_noise_ratio, structural_similarity
from dggn.model.config import SCALE
from runtime.errors import ConfigError, ModelError
from runtime.system.path_text import path_text

SuperResolve: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Maps (H, W, 3) uint8 RGB to (4H, 4W, 3) uint8 RGB."""

Metric: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
"""Maps a picture and its reference, both (H, W, 3) uint8 RGB, to a score."""

FIDELITY: Mapping[str, Metric] = {
    "psnr_db": peak_signal_noise_ratio,
    "ssim": structural_similarity,
}
"""PSNR and SSIM on Y, border 4, by metric name."""


@dataclass(frozen=True, kw_only=True)
class PathPair:
    """Paths of an HR picture and optionally its reduction."""

    hr: Path
    """The HR picture."""

    lr: Path | None
    """Its reduction; None to compute it."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark set."""

    name: str
    """Name for tables."""

    pairs: tuple[PathPair, ...]
    """The pictures."""


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """One picture's scores."""

    name: str
    """File name of the HR picture."""

    scores: Mapping[str, float]
    """Scores by metric name."""


def find_benchmark(folder: Path) -> Benchmark:
    """Find the benchmark in a folder.

    Args:
        folder: holds HR pictures in `HR/` and their reductions in `LR_x4/`; without `LR_x4/`,
            or when it holds the HR pictures themselves, reductions are made.

    Raises:
        ConfigError: there are no pictures, or HR and LR do not match.
    """
    hr_folder = folder / HR_FOLDER
    if not hr_folder.is_dir():
        return Benchmark(name=folder.resolve().name, pairs=tuple(path_pairs(folder, None)))
    lr_folder = folder / LR_FOLDER
    pairs = path_pairs(hr_folder, lr_folder if lr_folder.is_dir() else None)
    return Benchmark(name=folder.resolve().name, pairs=tuple(pairs))


def path_pairs(hr_folder: Path, lr_folder: Path | None) -> list[PathPair]:
    """List the pictures of a folder, each with its reduction.

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
    matched = _matched(hr_folder, lr_folder, "the reductions")
    return [PathPair(hr=hr, lr=lr) for hr, lr in matched]


def evaluate(
    super_resolve: SuperResolve,
    pairs: Sequence[PathPair],
    metrics: Mapping[str, Metric] = FIDELITY,
) -> Iterator[PictureScores]:
    """Super-resolve and measure pictures one by one.

    Raises:
        ConfigError: a picture cannot be measured, or an LR picture has not a quarter the HR
            picture's size.
        ImageReadError: a picture cannot be decoded.
        ModelError: the model does not enlarge four times.
    """
    for paths in pairs:
        pair = read_pair(paths.hr, paths.lr)
        yield super_resolve_and_measure(super_resolve, pair, paths.hr, metrics)[1]


def super_resolve_and_measure(
    super_resolve: SuperResolve, pair: Pair, path: Path, metrics: Mapping[str, Metric] = FIDELITY
) -> tuple[NDArray[np.uint8], PictureScores]:
    """Super-resolve one picture and measure the result.

    Args:
        super_resolve: the model as a function.
        pair: the picture.
        path: its HR file, for its name and for messages.
        metrics: metrics by name.

    Returns:
        The result, (4H, 4W, 3) uint8 RGB, and its scores.

    Raises:
        ConfigError: the picture cannot be measured.
        ModelError: the model does not enlarge four times.
    """
    sr = super_resolve(pair.lr_hwc)
    if sr.shape != pair.hr_hwc.shape:
        raise ModelError(
            f"the model made {sr.shape[1]}x{sr.shape[0]} px of {pair.name}, expected "
            f"{pair.hr_hwc.shape[1]}x{pair.hr_hwc.shape[0]}: only x{SCALE} models can be "
            "evaluated"
        )
    return sr, measure(path, sr, pair.hr_hwc, metrics)


def evaluate_images(
    hr_folder: Path, sr_folder: Path, metrics: Mapping[str, Metric] = FIDELITY
) -> Iterator[PictureScores]:
    """Measure pictures from any program, matched to the HR pictures by stem.

    An HR picture whose size is no multiple of the scale is cropped to one at the right and
    bottom, when its SR picture has that size.

    Raises:
        ConfigError: pictures are missing, cannot be measured, or differ in size.
        ImageReadError: a picture cannot be decoded.
    """
    for hr_path, sr_path in _matched(hr_folder, sr_folder, "the results"):
        hr, sr = read_rgb(hr_path), read_rgb(sr_path)
        height, width = (size // SCALE * SCALE for size in hr.shape[:2])
        if sr.shape[:2] == (height, width):
            hr = hr[:height, :width]
        if sr.shape != hr.shape:
            raise ConfigError(
                f"{sr_path} is {sr.shape[1]}x{sr.shape[0]}: expected "
                f"{hr.shape[1]}x{hr.shape[0]}, the size of {hr_path}"
            )
        yield measure(hr_path, sr, hr, metrics)


def measure(
    path: Path,
    image: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    metrics: Mapping[str, Metric],
) -> PictureScores:
    """Compute all scores of one picture.

    Args:
        path: the HR file, for the name and for messages.
        image: (H, W, 3), uint8 RGB.
        reference: reference of the same shape.
        metrics: metrics by name.

    Raises:
        ConfigError: the picture cannot be measured, because it is too small or too flat.
    """
    try:
        scores = {name: metric(image, reference) for name, metric in metrics.items()}
    except ValueError as error:
        raise ConfigError(f"{path} cannot be measured: {error}") from error
    return PictureScores(name=path_text(path.name), scores=scores)


def mean(results: Sequence[PictureScores]) -> dict[str, float]:
    """Return the mean of each score, as published tables report it."""
    return {
        metric: float(np.mean([result.scores[metric] for result in results]))
        for metric in results[0].scores
    }


def _matched(hr_folder: Path, other_folder: Path, what: str) -> list[tuple[Path, Path]]:
    hr_by_stem = by_stem(hr_folder, picture_paths(hr_folder))
    other_by_stem = by_stem(other_folder, picture_paths(other_folder))
    missing = [stem for stem in hr_by_stem if stem not in other_by_stem]
    if missing:
        raise ConfigError(
            f"{other_folder} lacks {what} of {len(missing)} pictures of {hr_folder} "
            f"({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}): "
            "each must have the HR picture's name, apart from the suffix"
        )
    return [(path, other_by_stem[stem]) for stem, path in hr_by_stem.items()]
