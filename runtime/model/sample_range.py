"""Finds the range of samples in which a model of another program reproduces its input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError
from runtime.model.tensors import BYTES, CENTRED, SIGNED, UNIT, Range, TensorFormat
from runtime.model.trial import Trial, ramps

RANGES = (UNIT, BYTES, SIGNED, CENTRED)
"""Sample ranges to try, common ones first."""

FAR = 10_000.0
"""Sample far out of every range, for which a model that limits its results gives the limit."""

NEAR = 0.002
"""Maximum mean difference between a picture and its reduced result, relative to full range, for a
perfect match.
"""

ALIKE = 0.02
"""Maximum difference for a match, unless another range fits far better."""

UNLIKE = 0.1
"""Minimum difference at which a result is not an enlarged picture."""

CONTRAST = 1.25
"""Maximum factor by which contrast may change: more comes from another range."""

_MARGIN_PX = 3
"""Border to ignore, where networks that pad with zeros are wrong."""


def find_range(
    trial: Trial, size_hw: tuple[int, int], scale: int, result_type: str, where: str
) -> TensorFormat:
    """Find the sample range in which the model reproduces its input.

    Args:
        trial: the model.
        size_hw: a size that it accepts.
        scale: its scale.
        result_type: type of its output, for example `tensor(float)`.
        where: its path, for error messages.

    Raises:
        ModelError: there is none.
    """
    usual = trial.tensors
    found: dict[TensorFormat, _Likeness] = {}
    for tensors, result in _candidates(trial, size_hw, result_type):
        found[tensors] = _likeness(tensors, result, size_hw, scale)
        if tensors == usual and found[usual].difference <= NEAR:
            return usual
    if not found:
        raise ModelError(f"{where} fails on samples of every range ({trial.reason})")
    good = {tensors: one.difference for tensors, one in found.items() if one.is_match}
    # A model of a wider range reproduces pictures in the narrow one, too, only worse.
    common = {key: value for key, value in good.items() if CENTRED not in (key.takes, key.gives)}
    good = common or good
    if not good:
        raise ModelError(f"{where} takes RGB pictures, but {_why_none(list(found.values()))}")
    best = min(good, key=lambda tensors: good[tensors])
    return usual if good.get(usual, 1.0) <= min(ALIKE, 4 * good[best]) else best


def _candidates(
    trial: Trial, size_hw: tuple[int, int], result_type: str
) -> Iterator[tuple[TensorFormat, NDArray[Any]]]:
    """Yield input and output ranges, usual ones first, with the model's results."""
    usual = trial.tensors
    bounds = _bounds(trial, size_hw)
    for takes in (BYTES,) if usual.sample_type == "uint8" else RANGES:
        result = trial.result(size_hw, takes)
        if result is None:
            continue
        for gives in (BYTES,) if result_type == "tensor(uint8)" else (takes, *RANGES):
            if bounds in (None, gives):
                yield replace(usual, takes=takes, gives=gives), result


def _bounds(trial: Trial, size_hw: tuple[int, int]) -> Range | None:
    """Return the range to which the model limits its results; None if that is none of ours."""
    if trial.tensors.sample_type == "uint8":
        return None
    result = trial.result(size_hw, (-FAR, FAR))
    if result is None:
        return None
    ends = float(result.min()), float(result.max())
    for low, high in RANGES:
        if np.allclose(ends, (low, high), rtol=0, atol=(high - low) / 1000):
            return low, high
    return None


@dataclass(frozen=True)
class _Likeness:
    """Likeness of a reduced result and the picture."""

    difference: float
    """Mean difference, relative to full range."""
    contrast: float
    """Contrast of the result relative to the picture's."""
    is_swapped: bool
    """Whether it resembles the picture with red and blue exchanged."""

    @property
    def is_match(self) -> bool:
        return self.difference <= UNLIKE and 1 / CONTRAST <= self.contrast <= CONTRAST


def _likeness(
    tensors: TensorFormat, result: NDArray[Any], size_hw: tuple[int, int], scale: int
) -> _Likeness:
    height, width = size_hw
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    picture = ramps(size_hw)
    enlarged = tensors.read(result.copy(), picture)[0].astype(np.float32)
    reduced = enlarged.reshape(height, scale, width, scale, 3).mean(axis=(1, 3))[inner, inner]
    picture = picture[inner, inner]
    about_mean = picture - picture.mean(axis=(0, 1))
    return _Likeness(
        difference=_difference(reduced, picture),
        contrast=float((about_mean * reduced).sum() / np.square(about_mean).sum()),
        is_swapped=_difference(reduced[..., ::-1], picture) <= ALIKE,
    )


def _difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one - other).mean()) / 255


def _why_none(found: Sequence[_Likeness]) -> str:
    """Explain that no range fits, as the end of a sentence, with the remedy."""
    if any(one.is_swapped for one in found):
        return (
            "its results have red and blue exchanged: export it so that it takes and returns the "
            "same order of channels"
        )
    *first, last = (f"[{low:g}, {high:g}]" for low, high in RANGES)
    nearest = min(found, key=lambda one: one.difference)
    return (
        f"its results match them in none of the ranges {', '.join(first)} and {last} (at best, "
        f"they differ by {100 * nearest.difference:.0f} %, and contrast is "
        f"{max(0, nearest.contrast):.1f} times the picture's): expected a network that enlarges "
        "photographs; make any other normalization of samples a part of the model"
    )
