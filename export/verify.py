"""Compares an exported model with its torch module; only matching files are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dggn.data.folder import read_rgb
from dggn.model.community import CommunityModel
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve_unrounded
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.verify import PHOTOGRAPH
from runtime.errors import ModelError

TOLERANCE = 1
"""Maximum difference in levels of 65,535 for float models, of 255 for 8-bit ones.

Both sides compute in float32 and differ in the order of additions only: about 1e-6 of the
range, which can tip a value that lies between two levels.
"""

COMMUNITY_TOLERANCE = 16
"""Maximum difference for other architectures, which may be many times deeper."""

LEAST_SIDE_PX = 8
"""Minimum side of the pictures compared: other architectures pad by reflection."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Difference between an exported model and its torch module."""

    largest: int
    """Maximum difference, in levels."""

    levels: int
    """Number of levels in the whole range."""

    samples: int
    """Number of samples compared."""

    tolerance: int = TOLERANCE
    """Maximum difference that passes."""

    @property
    def passes(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.largest <= self.tolerance

    def __str__(self) -> str:
        return (
            f"largest difference {self.largest} of {self.levels:,} grey levels "
            f"(tolerance {self.tolerance}) over {self.samples:,} samples"
        )


def compare(path: Path, generator: Generator | CommunityModel) -> Comparison:
    """Compare an ONNX file with its torch module on a photograph at several sizes.

    Raises:
        ModelError: ONNX Runtime cannot load the file.
        BackendError: ONNX Runtime fails on it.
    """
    largest = samples = 0
    with OrtBackend(path) as backend:
        is_bytes = backend.info.sample_type == "uint8"
        levels = 255 if is_bytes else 65535
        for batch in _batches(backend.info.size_multiple_px):
            # 257 takes the full 8-bit range to the full 16-bit one.
            result = backend.run(batch if is_bytes else batch.astype(np.uint16) * np.uint16(257))
            module = np.stack([super_resolve_unrounded(generator, image) for image in batch])
            expected = np.clip(np.rint(module * np.float32(levels)), 0, levels)
            difference = np.abs(result.astype(np.int64) - expected.astype(np.int64))
            largest = max(largest, int(difference.max()))
            samples += difference.size
    ours = isinstance(generator, Generator) or levels == 255
    tolerance = TOLERANCE if ours else COMMUNITY_TOLERANCE
    return Comparison(largest=largest, levels=levels, samples=samples, tolerance=tolerance)


def require_equal(path: Path, generator: Generator | CommunityModel) -> Comparison:
    """Compare, and refuse a file that differs.

    Raises:
        ModelError: the difference exceeds the tolerance; the message gives both.
    """
    comparison = compare(path, generator)
    if not comparison.passes:
        raise ModelError(
            f"the exported graph does not reproduce the module's results: {comparison}. "
            "Nothing was kept; please report it with the versions of torch and onnxruntime"
        )
    return comparison


def _batches(multiple: int) -> Iterator[NDArray[np.uint8]]:
    photograph = read_rgb(PHOTOGRAPH)
    height, width = (size // multiple * multiple for size in photograph.shape[:2])
    whole = photograph[:height, :width]
    yield whole[None]
    rows, columns = (-(-LEAST_SIDE_PX * parts // multiple) * multiple for parts in (6, 8))
    yield np.stack([whole[:rows, :columns], whole[-rows:, -columns:]])
    least = -(-LEAST_SIDE_PX // multiple) * multiple
    yield whole[None, :least, : 2 * least]
