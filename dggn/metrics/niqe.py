"""NIQE (Mittal et al., Making a "Completely Blind" Image Quality Analyzer, 2013) in numpy.

Blocks of a picture are described by 36 parameters of their normalized luma; the figure is the
distance between their Gaussian and that of undisturbed photographs, whose mean and covariance
come in a file:

    D = sqrt((m - m')^T ((C + C') / 2)^+ (m - m'))

As the authors' MATLAB code and BasicSR's compute it: on the Y of YCbCr, rounded, without the
border, blocks of 96x96 px at full and at half size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dggn.data.npz import read_npz
from dggn.metrics.evaluate import Metric
from dggn.metrics.fidelity import BORDER_PX
from dggn.metrics.luma import luma_bt601
from runtime.errors import ModelError

Floats = NDArray[np.float64]

BLOCK_PX = 96
"""Side of a block at full size."""

FEATURES = 36
"""Features per block: 18 at each of two scales."""

LEAST_BLOCKS = 2
"""Minimum number of textured blocks: fewer have no covariance."""

NEIGHBOURS_YX = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Offsets of neighbours for pairwise products: horizontal, vertical and both diagonals."""

EXPECTED = (
    "NIQE's parameters, an .npz file with mu_pris_param (1, 36), cov_pris_param (36, 36) and "
    "gaussian_window (7, 7)"
)


@dataclass(frozen=True, kw_only=True)
class Pristine:
    """Statistics of pristine photographs."""

    mean: Floats
    """Mean features, (36,)."""

    covariance: Floats
    """Covariance of the features, (36, 36)."""

    window: Floats
    """Weights of a pixel's neighbourhood, (7, 7), with sum 1."""


def read_pristine(path: Path) -> Pristine:
    """Read the parameters from a file.

    Raises:
        ModelError: the file is missing, damaged or of another type.
    """
    arrays = read_npz(path, EXPECTED)
    shapes = {
        "mu_pris_param": (1, FEATURES),
        "cov_pris_param": (FEATURES, FEATURES),
        "gaussian_window": (7, 7),
    }
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            raise ModelError(f"{path} has no {name}: expected {EXPECTED}")
        if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ModelError(
                f"{name} of {path} is {array.shape} of {array.dtype}: expected {shape}, finite "
                "floating-point numbers"
            )
    mean, covariance, window = (arrays[name].astype(np.float64) for name in shapes)
    if abs(window.sum() - 1) > 1e-3:
        raise ModelError(f"gaussian_window of {path} sums to {window.sum():.4g}: expected 1")
    return Pristine(mean=mean[0], covariance=covariance, window=window)


def niqe_metric(parameters: Path) -> Metric:
    """Create NIQE from a parameter file; lower is better. The reference is ignored.

    The metric raises `ValueError` at a picture without two blocks of texture.

    Args:
        parameters: .npz file, for example `niqe_pris_params.npz`.

    Raises:
        ModelError: the file is missing, damaged or of another type.
    """
    pristine = read_pristine(parameters)

    def measure(image_hwc: NDArray[np.uint8], reference_hwc: NDArray[np.uint8]) -> float:
        return natural_image_quality(image_hwc, pristine)

    return measure


def natural_image_quality(
    image_hwc: NDArray[np.uint8], pristine: Pristine, *, border_px: int = BORDER_PX
) -> float:
    """Compute NIQE of one picture; lower is better.

    Args:
        image_hwc: (H, W, 3), uint8 RGB.
        pristine: statistics to compare with.
        border_px: pixels to ignore at every side.

    Raises:
        ValueError: there are not two blocks with texture inside the border.
    """
    inside = slice(border_px, -border_px or None)
    luma = np.rint(luma_bt601(image_hwc)[inside, inside])
    rows, columns = (size // BLOCK_PX for size in luma.shape)
    features = np.empty((0, FEATURES))
    if rows and columns:
        luma = luma[: rows * BLOCK_PX, : columns * BLOCK_PX]
        sizes = (luma, BLOCK_PX), (halved(luma), BLOCK_PX // 2)
        features = np.hstack([_features(one, side, pristine.window) for one, side in sizes])
    usable = features[np.isfinite(features).all(axis=1)]
    if len(usable) < LEAST_BLOCKS:
        height, width = image_hwc.shape[:2]
        raise ValueError(
            f"NIQE needs {LEAST_BLOCKS} blocks of {BLOCK_PX}x{BLOCK_PX} px with texture inside a "
            f"border of {border_px} px, found {len(usable)} in {width}x{height} px"
        )
    away = pristine.mean - np.nanmean(features, axis=0)
    covariance = (pristine.covariance + np.cov(usable, rowvar=False)) / 2
    return math.sqrt(float(away @ np.linalg.pinv(covariance) @ away))


def halved(plane: Floats) -> Floats:
    """Halve a plane as MATLAB's `imresize` does: antialiased bicubic, borders mirrored.

    Args:
        plane: (2H, 2W).

    Returns:
        (H, W), not rounded.
    """
    distances = np.abs(np.arange(-3.5, 4)) / 2
    near = 1.5 * distances**3 - 2.5 * distances**2 + 1
    far = -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2
    weights = np.where(distances <= 1, near, far)
    weights /= weights.sum()
    for _ in range(2):  # The rows, then what were columns.
        padded = np.pad(plane, ((3, 3), (0, 0)), mode="symmetric")
        last = len(padded) - len(weights) + 1
        plane = sum((w * padded[k : last + k : 2] for k, w in enumerate(weights)), np.zeros(1)).T
    return plane


def _features(luma: Floats, side: int, window: Floats) -> Floats:
    """Compute 18 features of every block, (blocks, 18); NaN for flat blocks."""
    # In float32, as BasicSR: in flat areas the difference from the mean is then truly 0, which
    # belongs to neither side, where float64 leaves 1e-14 on either.
    mean, square = (_blurred(one, window).astype(np.float32) for one in (luma, luma**2))
    deviation = np.sqrt(np.abs(square - mean**2))
    normalized = (luma.astype(np.float32) - mean) / (deviation + 1)
    rows, columns = (size // side for size in luma.shape)
    blocks = normalized.reshape(rows, side, columns, side).swapaxes(1, 2)
    return np.array([_block_features(block) for block in blocks.reshape(-1, side, side)])


def _blurred(plane: Floats, window: Floats) -> Floats:
    reach = len(window) // 2
    padded = np.pad(plane, reach, mode="edge")
    height, width = plane.shape
    blurred = np.zeros(plane.shape)
    for (row, column), weight in np.ndenumerate(window):
        blurred += weight * padded[row : row + height, column : column + width]
    return blurred


def _block_features(block: NDArray[np.float32]) -> list[float]:
    alpha, left, right = _asymmetric_gaussian(block)
    features = [alpha, (left + right) / 2]
    for shift in NEIGHBOURS_YX:
        alpha, left, right = _asymmetric_gaussian(block * np.roll(block, shift, axis=(0, 1)))
        mean = (right - left) * _gamma(2 / alpha) / _gamma(1 / alpha)
        features += [alpha, mean, left, right]
    return features


def _asymmetric_gaussian(values: NDArray[np.float32]) -> tuple[float, float, float]:
    """Fit an asymmetric generalized Gaussian by moments: shape and both widths."""
    square = float(np.mean(values**2))
    below, above = values[values < 0], values[values > 0]
    if not (below.size and above.size):
        return math.nan, math.nan, math.nan
    left, right = (math.sqrt(float(np.mean(part**2))) for part in (below, above))
    skew = left / right
    ratio = float(np.mean(np.abs(values))) ** 2 / square
    ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, ratios = _ratios_of_shapes()
    alpha = float(shapes[np.argmin((ratios - ratio) ** 2)])
    width = math.sqrt(_gamma(1 / alpha) / _gamma(3 / alpha))
    return alpha, left * width, right * width


@cache
def _ratios_of_shapes() -> tuple[Floats, Floats]:
    """Tabulate shapes of generalized Gaussians and their (mean |x|)^2 / mean x^2."""
    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = [_gamma(2 / a) ** 2 / (_gamma(1 / a) * _gamma(3 / a)) for a in shapes]
    return shapes, np.array(ratios)


def _gamma(x: float) -> float:
    return math.gamma(x) if math.isfinite(x) else math.nan
