"""The engine request, from `dggn-export trt` or a run to TensorRT's builder and the sidecar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.backends.gpu import Gpu
from runtime.backends.trt.library import Flavor
from runtime.errors import ConfigError
from runtime.model.info import SampleType
from runtime.system.choices import check_choice

EnginePrecision = Literal["fp32", "fp16", "int8"]

DEFAULT_BATCH = 4
"""Default maximum batch."""

_MAX_SIDE_PX = 8192
_MAX_BATCH = 256
_MAX_TARGETS = 16


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """The engine wanted of a model. Different requests are answered with different files.

    The engine's sidecar keeps it; what verification and memory made of it is in `EngineFacts`.

    Raises:
        ConfigError: a value is out of range.
    """

    flavor: Flavor
    """Library that builds and runs the engine."""

    precision: EnginePrecision
    """Precision of the computation."""

    sample_type: SampleType
    """Input and output type: `uint8`, NHWC; or `float32`, NCHW in [0, 1], for 16-bit pictures."""

    tile_px: int
    """Maximum tile height and width, in LR pixels."""

    batch: int
    """Maximum number of tiles per batch."""

    targets: tuple[str, ...]
    """Supported compute capabilities, such as `sm86`; a classic engine has its own GPU's only."""

    def __post_init__(self) -> None:
        check_choice(self.flavor, Flavor, what="flavor")
        check_choice(self.precision, EnginePrecision, what="precision")
        check_choice(self.sample_type, SampleType, what="sample_type")
        _within("tile_px", self.tile_px, _MAX_SIDE_PX)
        _within("batch", self.batch, _MAX_BATCH)
        if not 1 <= len(self.targets) <= _MAX_TARGETS:
            raise ConfigError(
                f"there are {len(self.targets)} targets: expected 1 to {_MAX_TARGETS}"
            )
        for target in self.targets:
            digits = target.removeprefix("sm")
            if digits == target or not (digits.isascii() and digits.isdigit()) or len(digits) > 4:
                raise ConfigError(f"a target is {target[:40]!r}: expected for example sm86")


BuildEngine = Callable[[Path, EngineRequest, Gpu], Path]
"""Builds an engine of a model file on a GPU, with its sidecar, or returns a current one."""


def _within(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ConfigError(f"{name} is {value}: expected 1 to {most}")
