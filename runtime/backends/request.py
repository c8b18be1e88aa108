"""The backend request, passed unchanged from a command to the code that opens backends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runtime.model.info import WantedPrecision
from runtime.system.choices import check_choice

if TYPE_CHECKING:
    from runtime.backends.trt.request import BuildEngine

BackendName = Literal["auto", "tensorrt", "cuda", "openvino", "onnxruntime", "cpu"]
"""Backend names; `onnxruntime` is ONNX Runtime on the CPU, and `cpu` is its alias."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BackendRequest:
    """The backend and devices to run a model on.

    Raises:
        ConfigError: the backend or the precision is unknown.
    """

    name: BackendName = "auto"
    """`auto`: TensorRT if an engine exists or can be built, else CUDA, else the CPU, with OpenVINO
    where it works and ONNX Runtime elsewhere.
    """

    precision: WantedPrecision | None = None
    """None lets the backend choose: TensorRT runs float32 models in mixed float16, OpenVINO in
    bfloat16, both only where the pictures stay the same.
    """

    tile_px: int | None = None
    """Largest tile; None for a size that suits the model."""

    devices: Sequence[int] | None = None
    """CUDA device indices, at least one; None for the first GPU, if any."""

    openvino_device: str = "CPU"
    """OpenVINO's device name, for example `GPU`."""

    threads: int | None = None
    """CPU threads; None for every core this process may use."""

    build: BuildEngine | None = None
    """Builds TensorRT engines; None to use existing ones only."""

    cuda_graphs: bool | None = None
    """Whether TensorRT's batches are recorded as CUDA graphs; None for all versions but 8.x."""

    half: Callable[[Path], Path] | None = None
    """Makes a model's float16 version for ONNX Runtime on CUDA; None to use one that the cache has,
    and float32 otherwise."""

    say: Callable[[str], None] = _logger.info
    """Receives one-line status messages."""

    def __post_init__(self) -> None:
        # Python's callers may have misspelt them.
        check_choice(self.name, BackendName, what="backend")
        if self.precision is not None:
            check_choice(self.precision, WantedPrecision, what="precision")

    @property
    def gpus(self) -> Sequence[int]:
        """CUDA device indices: the ones asked for, else the first."""
        return (0,) if self.devices is None else self.devices
