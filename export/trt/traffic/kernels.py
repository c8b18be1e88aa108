"""Kernels, their memory traffic, and the speed limit that follows: a roofline.

On a fast GPU most kernels wait for memory, so the bytes that they read and write, with the products
beside them, bound the speed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

BYTES = {
    "Bool": 1,
    "UInt8": 1,
    "Int8": 1,
    "FP8": 1,
    "Half": 2,
    "BFloat16": 2,
    "Float": 4,
    "Int32": 4,
    "Int64": 8,
}
"""Bytes per value by the log's type name."""


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The limits on a GPU's speed."""

    name: str

    flops: float
    """Sustained dense float16 operations per second, with float32 accumulation."""

    bytes: float
    """Achievable memory bandwidth, in bytes per second."""


ROOFLINES = (
    Roofline(name="H100", flops=798e12, bytes=3.0e12),
    Roofline(name="RTX 4090", flops=165e12, bytes=0.92e12),
)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a kernel."""

    name: str
    shape: tuple[int, ...]
    type: str
    """Type name in the log, for example `Half`."""

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * BYTES[self.type]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One kernel of an engine."""

    name: str
    """The builder's name, which lists the operations: `__myl_CorrMulMax_myl0_5`."""

    layer: str
    """The builder's layer type; `correlation` is a convolution."""

    nodes: tuple[str, ...]
    """ONNX nodes that the kernel computes, wholly or partly."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    """Weights of its convolutions."""

    @property
    def bytes(self) -> int:
        """Bytes read and written, without the few weights. A slice counts its whole input."""
        return sum(tensor.bytes for tensor in self.inputs + self.outputs)

    @property
    def is_transposed(self) -> bool:
        """Whether its convolution is transposed."""
        return self.layer == "deconvolution" or "Deco" in self.does

    @property
    def pixels(self) -> int:
        """Number of pixels that its weights are applied to; without a convolution, its output's."""
        if self.weights:  # (out, in, height, width), or (in, out, height, width)
            tensor = self.inputs[0] if self.is_transposed else self.outputs[0]
            return math.prod(tensor.shape) // self.weights[-1].shape[0]
        output = self.outputs[0]
        # Bytes are NHWC, which the network's own values never are by their shape.
        return math.prod(output.shape) // output.shape[-1 if output.type == "UInt8" else 1]

    @property
    def flops(self) -> int:
        """Operations of its convolutions."""
        return 2 * self.pixels * sum(math.prod(weight.shape) for weight in self.weights)

    @property
    def does(self) -> str:
        """The builder's shorthand for its operations, if any: `CorrMulMax`."""
        found = re.match(r"__myl_([A-Za-z]+)_", self.name)
        return found[1] if found else ""

    @property
    def is_slice(self) -> bool:
        """Whether it only copies a part of a tensor."""
        return self.does == "Slic"

    @property
    def is_cast(self) -> bool:
        """Whether it only converts types."""
        return self.does == "Cast"

    @property
    def is_float32(self) -> bool:
        """Whether it writes float32."""
        return any(tensor.type == "Float" for tensor in self.outputs)

    def seconds(self, gpu: Roofline) -> float:
        """Return the minimum time: of memory traffic or arithmetic, whichever is longer."""
        return max(self.bytes / gpu.bytes, self.flops / gpu.flops)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """All kernels of an engine for one tile."""

    kernels: tuple[Kernel, ...]

    activation_bytes: int
    """Memory for activations per tile, besides weights, input and output."""

    tile_px: int
    """Input pixels per side."""

    scale: int
    """Output pixels per input pixel, along each axis."""

    @property
    def pixels(self) -> int:
        """Number of output pixels."""
        return (self.tile_px * self.scale) ** 2

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes read and written per output pixel."""
        return sum(kernel.bytes for kernel in self.kernels) / self.pixels

    @property
    def flops_per_pixel(self) -> float:
        """Operations of convolutions per output pixel."""
        return sum(kernel.flops for kernel in self.kernels) / self.pixels

    def ceiling(self, gpu: Roofline) -> float:
        """Return the maximum output pixels per second on a GPU with these kernels."""
        return self.pixels / sum(kernel.seconds(gpu) for kernel in self.kernels)

    def kind(self, kernel: Kernel) -> str:
        """Return a human-readable kind: the operations and the resolution."""
        if kernel.weights:
            height, width = kernel.weights[-1].shape[2:]
            word = "transposed convolutions" if kernel.is_transposed else "convolutions"
            return f"{height}×{width} {word} at {self._size(kernel)}"
        if kernel.is_slice:
            return "slices"
        if kernel.is_cast:
            return "casts"
        if "pool" in kernel.layer:
            return "pooling"
        if "Resi" in kernel.does:
            return f"resizing and what follows, at {self._size(kernel)}"
        if kernel.does and "Tran" in kernel.does:
            return f"shuffles and transposes, at {self._size(kernel)}"
        return "other"

    def _size(self, kernel: Kernel) -> str:
        # Padding changes sizes a little: the nearest power of two.
        power = round(math.log2(math.sqrt(kernel.pixels) / self.tile_px))
        return f"×{2**power}" if power >= 0 else f"×1/{2**-power}"
