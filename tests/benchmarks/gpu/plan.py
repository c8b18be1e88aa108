"""The measurement plan, chosen on the command line and passed to every process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

BACKENDS = ("torch", "torch.compile", "onnxruntime", "tensorrt", "tensorrt.int8")

NAMES = {
    "torch": "PyTorch, eager",
    "torch.compile": "PyTorch, torch.compile",
    "onnxruntime": "ONNX Runtime, CUDA",
    "tensorrt": "TensorRT",
    "tensorrt.int8": "TensorRT, INT8",
}
STAND_INS = {
    "torch": "PyTorch on the CPU, float32",
    "torch.compile": "PyTorch on the CPU, float32, traced and not compiled",
    "onnxruntime": "ONNX Runtime on the CPU, float32",
    "tensorrt": "ONNX Runtime on the CPU, float32, through the runtime's interface",
    "tensorrt.int8": "ONNX Runtime on the CPU, INT8, through the runtime's interface",
}
"""Who takes whose place in a dry run."""

SCALE = 4

FLAGSHIP, YARDSTICK = "dggn", "esrgan"
"""The models."""

INT8_NAME = "dggn-int8.onnx"
"""The INT8 version of the model for TensorRT, where one was given."""

FACTS_NAME, PHOTOGRAPHS = "prepared.json", "photographs"
"""In the folder of a plan."""


class NotMeasured(Exception):
    """Something cannot be measured here; the message gives the reason for the results file."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes and repetitions."""

    work: Path
    """Folder of models, pictures and results."""

    dry_run: bool = False
    """On the CPU, tiny: whether everything runs, not how fast."""

    tile_px: int = 256
    """Side of a tile, in LR pixels."""

    batch: int = 4
    """Tiles at a time."""

    rounds: int = 5
    """How often each backend has its turn."""

    seconds: float = 2.0
    """Length of a turn."""

    compile_mode: str = "reduce-overhead"
    """Mode of torch.compile; `max-autotune` takes many minutes longer to start."""

    photographs: int = 48
    """Pictures for the whole command."""

    photograph_px: int = 1024
    """Their long side."""

    def tiny(self) -> Plan:
        """Return the plan of a dry run."""
        return replace(
            self,
            dry_run=True,
            tile_px=32,
            batch=2,
            rounds=2,
            seconds=0.01,
            photographs=2,
            photograph_px=48,
        )

    @property
    def batch_megapixels(self) -> float:
        """Output megapixels of a batch."""
        return self.batch * (SCALE * self.tile_px) ** 2 / 1e6

    @property
    def names(self) -> dict[str, str]:
        """Names of the backends in the results."""
        return STAND_INS if self.dry_run else NAMES

    def facts(self) -> dict[str, Any]:
        """Prepared files."""
        read: dict[str, Any] = json.loads((self.work / FACTS_NAME).read_text(encoding="utf-8"))
        return read

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {**asdict(self), "work": str(self.work)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """From another process."""
        return cls(**{**values, "work": Path(values["work"])})
