"""The request for an engine, by `dggn-export trt` or by a run that finds none in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.backends.trt.engine_facts import DEFAULT_BATCH, EnginePrecision
from runtime.backends.trt.library import FlavorChoice
from runtime.model.info import SampleType


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """An engine that is needed. What is left open is decided where it is built."""

    onnx: Path
    """The model's file."""

    precision: EnginePrecision = "fp16"
    """Precision to compute in."""

    flavor: FlavorChoice = "auto"
    """Which TensorRT builds and runs it."""

    sample_type: SampleType = "uint8"
    """Element type of its input and output."""

    tile_px: int | None = None
    """Largest tile; None for one that suits the model."""

    batch: int = DEFAULT_BATCH
    """Largest number of tiles at a time."""

    targets: tuple[str, ...] = ()
    """Compute capabilities to build for, as `sm86`; none for this machine's GPU."""

    device: int = 0
    """CUDA device index of this machine's GPU."""

    output: Path | None = None
    """The engine's file; None for the cache."""

    force: bool = False
    """Build even if there is a current engine."""


BuildEngine = Callable[[EngineRequest], Path]
"""Builds an engine with its sidecar, or finds a current one."""
