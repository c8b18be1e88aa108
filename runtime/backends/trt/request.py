"""The engine request, from `dggn-export trt` or from a run that finds no cached engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.backends.trt.engine_facts import DEFAULT_BATCH, EnginePrecision
from runtime.backends.trt.library import FlavorChoice
from runtime.model.info import SampleType


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """A request for an engine. The builder decides what is left open."""

    onnx: Path
    """Model file."""

    precision: EnginePrecision = "fp16"
    """Precision of the computation."""

    flavor: FlavorChoice = "auto"
    """TensorRT flavor that builds and runs the engine."""

    sample_type: SampleType = "uint8"
    """Sample type of its input and output."""

    tile_px: int | None = None
    """Largest tile; None for a size that suits the model."""

    batch: int = DEFAULT_BATCH
    """Largest number of tiles at a time."""

    targets: tuple[str, ...] = ()
    """Compute capabilities to build for, such as `sm86`; empty for this machine's GPU."""

    device: int = 0
    """CUDA device index of this machine's GPU."""

    output: Path | None = None
    """Engine file; None for the cache."""

    force: bool = False
    """Rebuild even if a current engine exists."""


BuildEngine = Callable[[EngineRequest], Path]
"""Builds an engine with its sidecar, or returns a current one."""
